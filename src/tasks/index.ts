export { type ClassificationAnswer, type ClassProbability, classification } from './classification.ts';
export { type InputSpec, type Pixels, pixelsToTensor } from './pixels.ts';
export { decodePixels, type ImageInput, type PrepareOptions, prepare } from './prepare.ts';
export { gatherRows, stackRows } from './rows.ts';
export type { Metric, Tail, Task } from './task.ts';
