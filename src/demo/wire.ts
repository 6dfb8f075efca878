import type { ErrorCode } from '../errors.ts';
import type { CaptionAnswer, ClassificationAnswer, InputSpec, TaskName, VqaAnswer } from '../tasks/index.ts';

/* What the demo's server and its page say to each other, all of it JSON but for models, codec files, pictures and packets. */

/** `GET /api/manifest`: what there is to be shown. Addresses are relative to the server. */
export interface Manifest {
  readonly suite: string;
  readonly input: InputSpec;
  readonly tasks: readonly TaskName[];
  /** In the order in which they were given. */
  readonly codecs: readonly CodecEntry[];
  /** Pictures of the suite, to try it with; none where it has no files. */
  readonly pictures: readonly PictureEntry[];
  /** Whether the suite's pictures are the scenes that a seed draws. */
  readonly scenes: boolean;
  readonly limits: {
    /** Bytes and pixels of a picture, characters of a question: {@link DEFAULT_LIMITS}, or the suite's. */
    readonly imageBytes: number;
    readonly imagePixels: number;
    readonly questionCharacters: number;
  };
}

export interface CodecEntry {
  /** Identity of the codec, 8 hexadecimal digits; every packet carries it. */
  readonly id: string;
  readonly name: string;
  /** Such as `step 0.65`; empty where a codec has none. */
  readonly setting: string;
  /** The suite's name of the cut, or its tensors. */
  readonly cut: string;
  /** The tasks that answer from this codec's packets. */
  readonly tasks: readonly TaskName[];
  /** Share of the first of these tasks' multiply-accumulates that head and analysis do, 0 to 1. */
  readonly headShare: number;
  readonly url: string;
  readonly bytes: number;
  /** The model before the cut; codecs of one cut share it. */
  readonly head: { readonly url: string; readonly bytes: number };
}

export interface PictureEntry {
  readonly url: string;
  readonly name: string;
  /** Questions that the suite's data asks of it. */
  readonly questions: readonly string[];
}

/**
 * `POST /api/answer`, multipart: a file `packet` and, where a question is asked, a text `question`. The codec is known by the packet's own
 * identity. What its tasks say, with the milliseconds of each stage.
 */
export interface Answered {
  readonly codec: string;
  readonly bytes: number;
  readonly answers: Answers;
  readonly times: {
    /** Until the answering thread took the packet up. */
    readonly queueMs: number;
    readonly decodeMs: number;
    /** Synthesis and tail, for each task that answered. */
    readonly tailMs: Readonly<Partial<Record<TaskName, number>>>;
  };
}

/** `vqa` is there where a question was asked. */
export interface Answers {
  readonly classification?: ClassificationAnswer;
  readonly captioning?: CaptionAnswer;
  readonly vqa?: VqaAnswer;
}

/** What is wrong with a request itself, beside the library's own {@link ErrorCode}s. */
export type RequestCode =
  | 'REQUEST_INVALID'
  | 'REQUEST_FOREIGN'
  | 'NOT_FOUND'
  | 'TOO_LARGE'
  | 'BUSY'
  | 'TIMED_OUT'
  | 'INTERNAL';

/** The body of every response that is no success. */
export interface Refused {
  readonly error: { readonly code: ErrorCode | RequestCode; readonly message: string };
}
