/**
 * Every code an {@link IsthmusError} can carry: when it happens, and what to do.
 * The set is part of the public interface: codes are added, never renamed.
 */
export const ERROR_CODES = {
  INVALID_ARGUMENT: 'A function or option got a value it cannot take. Correct the call.',
  ABORTED: 'The work was cancelled through its signal. What was finished is kept; run again to go on.',
  FILE_NOT_FOUND: 'A file or folder does not exist. Check the path.',
  FILE_UNREADABLE: 'A file exists and cannot be read. Check permissions and kind.',
  FILE_UNWRITABLE: 'A result could not be written. Check permissions and free space; the old file is untouched.',
  LIMIT_EXCEEDED: 'Input asks for more than a cap in limits.ts allows. Raise the cap if you trust the input.',
  PEER_MISSING: 'An optional package is not installed. Install the one that the message names.',
  TENSOR_INVALID: 'A tensor has another dtype, shape or length than is needed.',
  IMAGE_UNREADABLE: 'An image file is damaged or of an unknown format.',
  ONNX_INVALID: 'A file is not a valid ONNX model.',
  ONNX_UNSUPPORTED: 'A valid ONNX model uses something that isthmus does not handle.',
  ONNX_EXTERNAL_DATA: 'External data is refused: not asked for, outside the folder, or past the end of its file.',
  ONNX_SHAPE: 'Shapes in a graph contradict each other, or a needed shape is not known.',
  RUNTIME_LOAD: 'A runtime cannot load a model: often an operator that it lacks.',
  RUNTIME_RUN: 'A runtime failed while it ran a model, or the session was released.',
  CUT_UNKNOWN: 'A tensor named as a cut does not exist in the graph.',
  CUT_INVALID: 'The tensors named do not separate the inputs from the outputs.',
  CUT_SUBGRAPH: 'A cut lies inside a subgraph of If, Loop or Scan. Cut before or after that node.',
  SPLIT_MISMATCH: 'Head and tail together compute something else than the whole graph.',
  CODEC_INVALID: 'A codec file is damaged or inconsistent.',
  CODEC_VERSION: 'A codec file was made by a newer isthmus. Update.',
  PACKET_EMPTY: 'A packet has no bytes.',
  PACKET_TRUNCATED: 'A packet is shorter than what was sent.',
  PACKET_CORRUPT: 'A packet was damaged on its way. Ask for it again.',
  PACKET_FOREIGN: 'A packet belongs to another codec. Use the codec that made it.',
  PACKET_VERSION: 'A packet has a version that this isthmus does not know. Update.',
  SUITE_INVALID: 'A suite folder lacks a file, or a file in it does not have the form described.',
  DATA_INVALID: 'A list of training data does not have the form described. Correct the place that the message names.',
  TRAINING_DIVERGED:
    'A loss or gradient is no longer finite. Go on from the last checkpoint with a lower rate, or clip.',
  CHECKPOINT_INVALID: 'A checkpoint is damaged, or no checkpoint. Start from another one or anew.',
  CHECKPOINT_FOREIGN: 'A checkpoint belongs to another recipe or graph. Use the one that it was made with.',
  RECIPE_INVALID: 'A recipe file is no JSON, or says what a recipe cannot. Correct the lines that the message names.',
  TOO_MANY_BAD_INPUTS: 'More inputs failed than a run may skip. Mend the data.',
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** The only error that leaves the library: a code to branch on, a message that says what to do, the cause. */
export class IsthmusError extends Error {
  override readonly name = 'IsthmusError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** The message of anything that was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
