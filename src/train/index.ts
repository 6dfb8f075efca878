export { type FitJob, fitCodec } from './fit.ts';
export { parseRecipe, type Recipe } from './recipe.ts';
