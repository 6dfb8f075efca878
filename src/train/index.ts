export { type Augmentation, parseAugmentation } from './data/augment.ts';
export { type Batches, type BatchesOptions, batches } from './data/batches.ts';
export { picturesOfList } from './data/list.ts';
export {
  type Picture,
  type PictureItem,
  picturesIn,
  type ReadPicturesOptions,
  readPictures,
  splitPictures,
} from './data/pictures.ts';
export { type FitJob, fitCodec } from './fit.ts';
export { parseRecipe, type Recipe } from './recipe.ts';
