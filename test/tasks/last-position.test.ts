import { describe, expect, it } from 'vitest';
import { buildGraph, type Graph, mainGraph, node, type ValueSpec, writeGraph } from '../../src/onnx/index.ts';
import { openOnnxRuntimeNode } from '../../src/runtime/index.ts';
import { lastPosition } from '../../src/tasks/last-position.ts';
import { type Tensor, tensor } from '../../src/tensor.ts';
import { generator, tinyCaptioning } from './tiny-graphs.ts';

const TOKENS: ValueSpec = { name: 'tokens', dtype: 'int64', shape: ['batch', 'length'] };
const random = generator(5);
const weight = (shape: number[]): Tensor => {
  const length = shape.reduce((product, side) => product * side, 1);
  return tensor(
    'float32',
    shape,
    Float32Array.from({ length }, () => random() - 0.5),
  );
};

/** Embeds tokens as `x` `[batch, length, 4]`; `nodes` go on from there to `logits`. */
function decoder(nodes: ReturnType<typeof node>[], outputs: ValueSpec[], extra: Record<string, Tensor> = {}): Graph {
  return buildGraph({
    opset: 17,
    inputs: [TOKENS],
    outputs,
    nodes: [node('Gather', ['table', 'tokens'], ['x'], { axis: 0 }), ...nodes],
    initializers: { table: weight([6, 4]), w: weight([4, 4]), b: weight([4]), scale: weight([4]), ...extra },
  });
}
const LOGITS: ValueSpec = { name: 'logits', dtype: 'float32', shape: ['batch', 'length', 4] };
const tokens = tensor('int64', [2, 3], BigInt64Array.from([1n, 2n, 3n, 4n, 5n, 0n]));

async function run(graph: Graph, name = 'logits'): Promise<Tensor> {
  const session = await openOnnxRuntimeNode(writeGraph(graph), { threads: 1 });
  const { [name]: result } = await session.run({ tokens });
  await session.release();
  return result;
}

async function expectLast(graph: Graph): Promise<Graph> {
  const short = lastPosition(graph, 'logits', 'tokens');
  const [whole, last] = [await run(graph), await run(short)];
  const [rows, length, width] = whole.shape;
  expect(last.shape).toEqual([rows, 1, width]);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < width; i++) {
      const expected = (whole.data as Float32Array)[((row + 1) * length - 1) * width + i];
      expect((last.data as Float32Array)[row * width + i]).toBeCloseTo(expected, 5);
    }
  }
  return short;
}

const sliceInputs = (graph: Graph) =>
  mainGraph(graph)
    .node.filter(({ opType }) => opType === 'Slice')
    .map(({ input }) => input[0]);

describe('logits of the last position', () => {
  it('go through projections, norms, residuals and activations', async () => {
    const graph = decoder(
      [
        node('CumSum', ['x', 'one'], ['sums']),
        node('LayerNormalization', ['sums', 'scale', 'b'], ['normed'], { axis: -1 }),
        node('MatMul', ['normed', 'w'], ['wide']),
        node('Erf', ['wide'], ['bent']),
        node('Add', ['bent', 'sums'], ['residual']),
        node('Softmax', ['residual'], ['shares'], { axis: -1 }),
        node('Add', ['shares', 'b'], ['logits']),
      ],
      [LOGITS],
      { one: tensor('int64', [], BigInt64Array.of(1n)) },
    );
    expect(sliceInputs(await expectLast(graph))).toEqual(['sums']);
  });

  it('stop where positions meet, also where the graph comes from an attention', async () => {
    const softmaxOverPositions = decoder(
      [node('Softmax', ['x'], ['mixed'], { axis: 1 }), node('MatMul', ['mixed', 'w'], ['logits'])],
      [LOGITS],
    );
    expect(sliceInputs(await expectLast(softmaxOverPositions))).toEqual(['mixed']);
    const causal = tinyCaptioning(generator(2), 6);
    const features = tensor('float32', [2, 17, 16], new Float32Array(2 * 17 * 16).fill(0.5));
    const last = lastPosition(causal, 'logits', 'tokens');
    const session = await openOnnxRuntimeNode(writeGraph(last), { threads: 1 });
    expect((await session.run({ tokens, features })).logits.shape).toEqual([2, 1, 6]);
    await session.release();
  });

  it('leave tensors whole that something else reads', async () => {
    const graph = decoder(
      [
        node('MatMul', ['x', 'w'], ['shared']),
        node('ReduceMax', ['shared'], ['peak'], { axes: [1], keepdims: 1 }),
        node('Relu', ['shared'], ['kept']),
        node('Add', ['kept', 'peak'], ['logits']),
      ],
      [LOGITS],
    );
    expect(sliceInputs(await expectLast(graph))).toEqual(['shared']);
    const twoOutputs = decoder(
      [node('MatMul', ['x', 'w'], ['hidden']), node('Relu', ['hidden'], ['logits'])],
      [LOGITS, { ...LOGITS, name: 'hidden' }],
    );
    const short = await expectLast(twoOutputs);
    expect((await run(short, 'hidden')).shape).toEqual([2, 3, 4]);
  });

  it('are left alone where they are not by position of the tokens', () => {
    const averaged = decoder(
      [node('ReduceMean', ['x'], ['logits'], { axes: [1], keepdims: 0 })],
      [{ name: 'logits', dtype: 'float32', shape: ['batch', 4] }],
    );
    expect(lastPosition(averaged, 'logits', 'tokens')).toBe(averaged);
    const reversed = decoder([node('CumSum', ['x', 'one'], ['logits'], { reverse: 1 })], [LOGITS], {
      one: tensor('int64', [], BigInt64Array.of(1n)),
    });
    expect(lastPosition(reversed, 'logits', 'tokens')).toBe(reversed);
  });
});
