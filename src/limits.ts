import { IsthmusError } from './errors.ts';

/**
 * Every cap on foreign input, with its reason. A reader takes `Partial<Limits>`, so that a user who trusts an input
 * can raise one cap for one call.
 */
export interface Limits {
  /** Bytes of an ONNX file; protobuf itself ends at 2 GiB. */
  onnxBytes: number;
  /** Depth of subgraphs within subgraphs; real exports nest two or three deep. */
  onnxNesting: number;
  /** Nodes of a graph, subgraphs counted in; large language models have some ten thousand. */
  onnxNodes: number;
  /** Heap bytes of the objects that a model's messages and lists become, estimated before any is made; raw data is viewed. */
  onnxHeapBytes: number;
  /** Bytes of a model's external data, regions that lie over one another counted each. */
  onnxExternalBytes: number;
  /** Bytes of a TensorFlow.js model's weights, all files together; they become one buffer. */
  tfjsBytes: number;
  /** Bytes of one tensor, in a model or given at run time. */
  tensorBytes: number;
  /** Dimensions of a tensor; the runtimes stop at 8 or so. */
  tensorRank: number;
  /** Bytes of a packet: the largest feature that a codec may have fits raw, with its frame. */
  packetBytes: number;
  /** Bytes of a codec file. */
  codecBytes: number;
  /** Bytes of a codec file's codec.json: 64 tensors with the longest names take half of it. */
  codecJsonBytes: number;
  /** Bytes of the feature that a codec file is for, as float32, all tensors together; coding takes a few times as many. */
  featureBytes: number;
  /** Bytes of a training's checkpoint: three to four times the trained weights. */
  checkpointBytes: number;
  /** Bytes of a checkpoint's header: about 200 for each of the tensors. */
  checkpointHeaderBytes: number;
  /** Bytes of a JSON file (suite, labels, questions). */
  jsonBytes: number;
  /** Bytes of a recipe file; a long one, with comments, has a few thousand. */
  recipeBytes: number;
  /** Depth of values within values of a recipe; real ones nest four or five deep. */
  recipeNesting: number;
  /** Bytes of an image file. */
  imageBytes: number;
  /** Pixels of an image, counted before it is decoded. */
  imagePixels: number;
  /** Characters of a question; a longer one is refused, not cut silently. */
  questionCharacters: number;
}

export const DEFAULT_LIMITS: Readonly<Limits> = {
  onnxBytes: 2 ** 31 - 1,
  onnxNesting: 16,
  onnxNodes: 1_000_000,
  onnxHeapBytes: 2 ** 30,
  onnxExternalBytes: 2 ** 34,
  tfjsBytes: 2 ** 31 - 1,
  tensorBytes: 2 ** 31 - 1,
  tensorRank: 16,
  packetBytes: 257 * 2 ** 20,
  codecBytes: 256 * 2 ** 20,
  codecJsonBytes: 2 ** 20,
  featureBytes: 256 * 2 ** 20,
  checkpointBytes: 2 ** 33,
  checkpointHeaderBytes: 16 * 2 ** 20,
  jsonBytes: 256 * 2 ** 20,
  recipeBytes: 2 ** 20,
  recipeNesting: 32,
  imageBytes: 64 * 2 ** 20,
  imagePixels: 64_000_000,
  questionCharacters: 1_000,
};

/** Fills in the defaults. Throws `INVALID_ARGUMENT` for a cap that is not a non-negative number. */
export function limitsOf(limits: Partial<Limits> = {}): Readonly<Limits> {
  for (const [name, value] of Object.entries(limits)) {
    if (value !== undefined && !(value >= 0)) {
      throw new IsthmusError('INVALID_ARGUMENT', `limit ${name} must be a number of at least 0, got ${value}`);
    }
  }
  return { ...DEFAULT_LIMITS, ...limits };
}

/** Throws `LIMIT_EXCEEDED` where `value` is above the cap `name`. */
export function within(limits: Readonly<Limits>, name: keyof Limits, value: number, what: string): void {
  if (!(value <= limits[name])) {
    throw new IsthmusError(
      'LIMIT_EXCEEDED',
      `${what}: ${value} is above the cap ${name} = ${limits[name]}; pass limits: { ${name}: … } if you trust this input`,
    );
  }
}
