import { IsthmusError } from '../errors.ts';
import {
  buildGraph,
  dataTypeOf,
  type Graph,
  inferShapes,
  mainGraph,
  node,
  opsetOf,
  tensorTypeOf,
} from '../onnx/index.ts';
import { chainGraphs } from '../split/index.ts';
import { logitsOf } from '../tasks/index.ts';
import { tensor } from '../tensor.ts';

/** Inputs of {@link drawnLoss} beside the tail's own: float32 `[rows, 1]`, or `[rows, length, 1]` where logits have positions. */
export const DRAWS = 'isthmus/draws';
export const WEIGHTS = 'isthmus/weights';
/** Its output. */
export const LOSS = 'isthmus/loss';

/**
 * A tail with the cross-entropy, in nats, of labels drawn from its own answers: the sum over rows and positions of `WEIGHTS` times -log of
 * the label's probability, the label being the one at which the cumulated probabilities pass the number of `DRAWS`, which are uniform in
 * 0 to 1. The second moment of its gradient is the Fisher information. `positions` tells which kind of logits is wanted.
 * Throws `INVALID_ARGUMENT` for logits of another form, `ONNX_SHAPE` where their rank is not known.
 */
export function drawnLoss(tail: Graph, positions: boolean): Graph {
  const logits = logitsOf(tail);
  const declared = mainGraph(tail).output.find(({ name }) => name === logits)?.type;
  const inferred = inferShapes(tail).tensors.get(logits);
  const shape = inferred?.shape ?? tensorTypeOf(declared)?.shape;
  const dtype = inferred?.dtype ?? tensorTypeOf(declared)?.dtype;
  if (shape === undefined || dtype === undefined) {
    throw new IsthmusError(
      'ONNX_SHAPE',
      `the shape of the logits '${logits}' is not known, so no loss can be taken of them`,
    );
  }
  const one = positions ? shape.length === 3 : shape.length >= 2 && shape.slice(2).every((length) => length === 1);
  if (!one || (dtype !== 'float32' && dtype !== 'float16')) {
    throw new IsthmusError(
      'INVALID_ARGUMENT',
      `a task's loss is taken of float logits [batch, ${positions ? 'length, ' : ''}classes]; '${logits}' is ${dtype} ` +
        `[${shape.map((length) => (typeof length === 'number' ? length : '?'))}]: weight nothing, or name a suite whose tasks say how answers are read`,
    );
  }
  const choices = positions ? 3 : 2;
  const free = Array.from({ length: shape.length }, () => '?');
  const column = [...Array.from({ length: choices - 1 }, () => '?'), 1];
  const float32 = dataTypeOf('float32');
  const ofGraph = buildGraph({
    name: 'drawn_loss',
    opset: opsetOf(tail),
    inputs: [
      { name: logits, dtype, shape: free },
      { name: DRAWS, dtype: 'float32', shape: column },
      { name: WEIGHTS, dtype: 'float32', shape: column },
    ],
    outputs: [{ name: LOSS, dtype: 'float32', shape: [] }],
    initializers: {
      'isthmus/last': tensor('int64', [], BigInt64Array.of(BigInt(choices - 1))),
      // The first two lengths of the logits, or all three.
      'isthmus/choices': tensor('int64', [choices], BigInt64Array.from(positions ? [0n, 0n, -1n] : [0n, -1n])),
    },
    nodes: [
      node('Cast', [logits], ['isthmus/float'], { to: float32 }),
      node('Reshape', ['isthmus/float', 'isthmus/choices'], ['isthmus/logits']),
      node('Softmax', ['isthmus/logits'], ['isthmus/p'], { axis: -1 }),
      node('CumSum', ['isthmus/p', 'isthmus/last'], ['isthmus/up_to']),
      node('CumSum', ['isthmus/p', 'isthmus/last'], ['isthmus/below'], { exclusive: 1 }),
      node('Greater', ['isthmus/up_to', DRAWS], ['isthmus/reached']),
      node('Greater', ['isthmus/below', DRAWS], ['isthmus/passed']),
      node('Xor', ['isthmus/reached', 'isthmus/passed'], ['isthmus/label']),
      node('Cast', ['isthmus/label'], ['isthmus/one_hot'], { to: float32 }),
      node('LogSoftmax', ['isthmus/logits'], ['isthmus/log_p'], { axis: -1 }),
      // Not GatherElements, whose gradient needs operator set 16.
      node('Mul', ['isthmus/log_p', 'isthmus/one_hot'], ['isthmus/log_likelihood']),
      node('Mul', ['isthmus/log_likelihood', WEIGHTS], ['isthmus/weighted']),
      node('ReduceSum', ['isthmus/weighted'], ['isthmus/sum'], { keepdims: 0 }),
      node('Neg', ['isthmus/sum'], [LOSS]),
    ],
  });
  return chainGraphs(tail, ofGraph);
}
