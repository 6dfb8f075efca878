import type * as tfjs from '@tensorflow/tfjs';
import { importPeer } from './peer.ts';
import { inNode } from './place.ts';

export type TensorFlow = typeof tfjs;

/** TensorFlow.js, ready to run, and what it is. */
export interface TensorFlowPeer {
  readonly tf: TensorFlow;
  /** Package, version and backend, such as `@tensorflow/tfjs 4.22.0 (cpu)`. */
  readonly runtime: string;
}

/**
 * The TensorFlow.js that is installed: the native one for Node where it is there and loads, else the one in JavaScript.
 * Both share one engine, so that models made with either run. Throws `PEER_MISSING`.
 */
export async function importTensorFlow(): Promise<TensorFlowPeer> {
  const native = inNode() ? await importNative() : undefined;
  const name = native ? '@tensorflow/tfjs-node' : '@tensorflow/tfjs';
  const tf =
    native ??
    (await importPeer(
      '@tensorflow/tfjs',
      () => import('@tensorflow/tfjs'),
      'run `npm i @tensorflow/tfjs-node`, or `npm i @tensorflow/tfjs` where that has no build',
    ));
  await tf.ready();
  return { tf, runtime: `${name} ${tf.version.tfjs} (${tf.getBackend()})` };
}

async function importNative(): Promise<TensorFlow | undefined> {
  // A name in a variable, because the package is not there when isthmus itself is compiled.
  const name = '@tensorflow/tfjs-node';
  return import(/* @vite-ignore */ name).then(
    (module) => (module.default ?? module) as TensorFlow,
    () => undefined,
  );
}
