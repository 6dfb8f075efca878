import type { Codec } from '../../codec/index.ts';
import type { BadInput, Cache } from '../../evaluate/index.ts';
import type { Graph } from '../../onnx/index.ts';
import type { OpenSession } from '../../runtime/index.ts';
import type { InputSpec } from '../../tasks/index.ts';
import type { PictureItem } from '../data/pictures.ts';
import type { TrainProgress } from '../train.ts';
import type { TrainRecipe } from './recipe.ts';
import type { TaughtTask } from './teacher.ts';
import type { TokenTransform } from './transform.ts';

/** What a recipe is carried out on. */
export interface LearnJob {
  readonly recipe: TrainRecipe;
  /** The network before the cut, its SHA-256, and the tensor at the cut. */
  readonly head: { readonly graph: Graph; readonly hash: string };
  readonly cut: string;
  /** What the codec says it was made for. */
  readonly name: string;
  readonly input: InputSpec;
  readonly tasks: readonly TaughtTask[];
  readonly pictures: readonly PictureItem[];
  readonly cache: Cache;
  /** Where checkpoint and log are written; none where absent. */
  readonly files?: { readonly checkpoint: string; readonly log: string };
  /** Whether to go on from the checkpoint. */
  readonly resume?: boolean;
  readonly open?: OpenSession;
  readonly threads?: number;
  /** Threads that share the rows of each training batch, as `Trainer` takes them. */
  readonly workers?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: LearnProgress) => void;
  readonly onBad?: (bad: BadInput) => void;
}

/** Which stage a training is at, and how far. */
export interface LearnProgress {
  readonly stage: 'pictures' | 'features' | 'words' | 'answers' | 'start' | 'training' | 'entropy models';
  readonly done: number;
  readonly total: number;
  readonly training?: TrainProgress;
}

/** What a training comes to. */
export interface Learned {
  /** A codec for each quantization step of the recipe. */
  readonly codecs: readonly { readonly step: number; readonly codec: Codec }[];
  readonly transform: TokenTransform;
  /** Numbers that were trained. */
  readonly parameters: number;
  /** Pictures that were good. */
  readonly pictures: number;
}

/** Rows of a batch of the head, of the tails, and of analysis. */
export const ROWS = 16;
/** Rows that entropy models learn from at most. */
export const ENTROPY_ROWS = 3000;
