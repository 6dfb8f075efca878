import { IsthmusError, messageOf } from '../errors.ts';
import type { Limits } from '../limits.ts';
import { inNode } from './place.ts';
import { type Engine, serialSession } from './serial.ts';
import type { Session } from './session.ts';
import { cutGraph, graphEngine, isGraphModel } from './tensorflow-graph.ts';
import { cutLayers, isLayersModel, layersEngine } from './tensorflow-layers.ts';
import { importTensorFlow, type TensorFlow } from './tensorflow-peer.ts';

/** A `tf.LayersModel` or `tf.GraphModel`. Its tensors are channels last (NHWC) where an ONNX model's are NCHW. */
export interface TensorFlowModel {
  predict(inputs: never, options?: never): unknown;
  dispose(): unknown;
}

export interface TensorFlowOptions {
  /** Caps on the files of a model. */
  readonly limits?: Partial<Limits>;
}

/**
 * A model of TensorFlow.js behind the Session port, run by `@tensorflow/tfjs-node` where that is installed and by
 * `@tensorflow/tfjs` else. `model` is a loaded model, which stays the caller's, or the path of its `model.json` (in a
 * browser its URL), whose weights are freed at release. A layers model is built by TensorFlow.js from its
 * configuration, whose sizes nothing caps: open only files that you trust.
 * Throws `PEER_MISSING`, `INVALID_ARGUMENT`, `FILE_NOT_FOUND`, `FILE_UNREADABLE`, `LIMIT_EXCEEDED`, `RUNTIME_LOAD`.
 */
export async function openTensorFlow(
  model: TensorFlowModel | string,
  options: TensorFlowOptions = {},
): Promise<Session> {
  const peer = await importTensorFlow();
  const { loaded, free } = await load(peer.tf, model, options);
  const engine = await orFree(free, () =>
    isGraphModel(loaded) ? graphEngine(peer, loaded) : layersEngine(peer, loaded),
  );
  return serialSession({ ...engine, free });
}

/**
 * A model of TensorFlow.js cut in two: what `head` gives, `tail` takes, by the names of `at`. In a layers model those
 * are names of layers (`name#1` the second call of a shared layer, `name:1` a second output, `model/layer` a layer of a
 * nested model), in a graph model those of nodes (`name:1` a second output).
 * Throws as {@link openTensorFlow} does, and `CUT_UNKNOWN`, `CUT_INVALID`, `CUT_SUBGRAPH`.
 */
export async function cutTensorFlow(
  model: TensorFlowModel | string,
  at: string | readonly string[],
  options: TensorFlowOptions = {},
): Promise<{ head: Session; tail: Session }> {
  const peer = await importTensorFlow();
  const { loaded, free } = await load(peer.tf, model, options);
  const cut = typeof at === 'string' ? [at] : at;
  const halves = await orFree(free, () => (isGraphModel(loaded) ? cutGraph : cutLayers)(peer, loaded, cut));
  // The halves share the weights; the second to be released frees them.
  let open = 2;
  const share = (engine: Engine): Engine => ({
    ...engine,
    async free() {
      if (--open === 0) await free();
    },
  });
  return { head: serialSession(share(halves.head)), tail: serialSession(share(halves.tail)) };
}

interface Loaded {
  readonly loaded: object;
  /** Frees what was loaded here. */
  free(): Promise<void>;
}

async function load(tf: TensorFlow, model: TensorFlowModel | string, options: TensorFlowOptions): Promise<Loaded> {
  if (typeof model !== 'string') {
    if (model && typeof model === 'object' && (isLayersModel(model) || isGraphModel(model))) {
      return { loaded: model, async free() {} };
    }
    throw new IsthmusError('INVALID_ARGUMENT', 'model must be a tf.LayersModel, a tf.GraphModel or a path');
  }
  const loaded = inNode() ? await loadFiles(tf, model, options) : await loadUrl(tf, model);
  return {
    loaded,
    async free() {
      loaded.dispose();
    },
  };
}

async function loadFiles(tf: TensorFlow, path: string, { limits }: TensorFlowOptions): Promise<TensorFlowModel> {
  const { readModelFiles } = await import('./tensorflow-file.ts');
  const { kind, artifacts } = await readModelFiles(path, limits);
  const handler = tf.io.fromMemory(artifacts);
  return refused(path, async () => (kind === 'graph' ? tf.loadGraphModel(handler) : tf.loadLayersModel(handler)));
}

async function loadUrl(tf: TensorFlow, url: string): Promise<TensorFlowModel> {
  return refused(url, async () => {
    const { format, modelTopology } = await (await fetch(url)).json();
    return format === 'graph-model' || 'node' in modelTopology ? tf.loadGraphModel(url) : tf.loadLayersModel(url);
  });
}

/** Has what TensorFlow.js throws at loading as `RUNTIME_LOAD`. */
async function refused<Result>(where: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    throw new IsthmusError('RUNTIME_LOAD', `TensorFlow.js cannot load ${where}: ${messageOf(cause)}`, { cause });
  }
}

async function orFree<Result>(free: () => Promise<void>, work: () => Result | Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (thrown) {
    await free();
    throw thrown;
  }
}
