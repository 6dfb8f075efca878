import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cutTensorFlow, openTensorFlow } from '../../src/runtime/tensorflow.ts';
import type { DType, Tensor } from '../../src/tensor.ts';
import { failure, type Subject, sessionContract } from './contract.ts';
import { float } from './onnx-subject.ts';
import {
  affineLayers,
  branchedLayers,
  copyLayers,
  type GraphType,
  graphModel,
  placeholder,
  sumLayers,
  typed,
} from './tensorflow-models.ts';

const runtime = /^@tensorflow\/tfjs(-node)? \d+\.\d+\.\d+ \(\w+\)$/;

sessionContract('a layers model of TensorFlow.js', (): Subject => {
  return {
    affine: () => openTensorFlow(affineLayers()),
    sum: () => openTensorFlow(sumLayers()),
    copy: () => openTensorFlow(copyLayers()),
    runtime,
    dtypes: ['float32'],
    zeroSize: true,
  };
});

const T = typed('float32');

sessionContract('a graph model of TensorFlow.js', (): Subject => {
  const affine = () =>
    graphModel(
      [
        placeholder('x', 'float32', [-1, 3]),
        { name: 'doubled', op: 'Mul', input: ['x', 'two'], attr: T },
        { name: 'y', op: 'AddV2', input: ['doubled', 'one'], attr: T },
        { name: 'z', op: 'Neg', input: ['x'], attr: T },
      ],
      { two: float([1], 2), one: float([1], 1) },
    );
  const sum = () =>
    graphModel([
      placeholder('a', 'float32', [-1, 2]),
      placeholder('b', 'float32', [-1, 2]),
      { name: 'sum', op: 'AddV2', input: ['a', 'b'], attr: T },
    ]);
  const copy = (dtype: DType) =>
    graphModel([
      placeholder('x', dtype as GraphType, [-1, 2]),
      { name: 'y', op: 'Identity', input: ['x'], attr: typed(dtype as GraphType) },
    ]);
  const constant = () =>
    graphModel(
      [placeholder('x', 'float32', [-1, 2]), { name: 'y', op: 'Identity', input: ['x'], attr: T }],
      { c: float([2], 7, 8) },
      {
        inputs: { x: { name: 'x:0', dtype: 'DT_FLOAT' } },
        outputs: { y: { name: 'y:0' }, c: { name: 'c:0' } },
      },
    );
  const scalar = () =>
    graphModel([placeholder('x', 'float32', []), { name: 'y', op: 'AddV2', input: ['x', 'x'], attr: T }]);
  const fails = () =>
    graphModel([placeholder('x', 'float32', [-1]), { name: 'y', op: 'Reshape', input: ['x', 'shape'], attr: T }], {
      shape: { dtype: 'int32', shape: [2], data: Int32Array.of(2, 2) },
    });
  return {
    affine: async () => openTensorFlow(await affine()),
    sum: async () => openTensorFlow(await sum()),
    copy: async (dtype) => openTensorFlow(await copy(dtype)),
    constant: async () => openTensorFlow(await constant()),
    scalar: async () => openTensorFlow(await scalar()),
    fails: async () => openTensorFlow(await fails()),
    runtime,
    dtypes: ['float32', 'int32', 'bool', 'string'],
    zeroSize: true,
  };
});

/** Values that differ from each other, the same in every run. */
const values = (shape: number[]): Tensor => {
  const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i * 1.7) * 2);
  return { dtype: 'float32', shape, data };
};

describe('a layers model cut in two', () => {
  let model: tf.LayersModel;
  const image = values([2, 8, 8, 3]);
  let whole: Float32Array;
  beforeAll(() => {
    model = branchedLayers();
    whole = (
      model.predict(tf.tensor(image.data as Float32Array, [...image.shape])) as tf.Tensor
    ).dataSync() as Float32Array;
  });
  afterAll(() => model.dispose());

  const through = async (at: string | string[], given = model) => {
    const { head, tail } = await cutTensorFlow(given, at);
    const results = await tail.run(await head.run({ image }));
    return { head, tail, answer: results.answer.data };
  };

  it.each([
    ['stem'],
    ['skip'],
    ['norm'],
    ['shared#1', 'stem'],
    ['shared#0', 'stem'],
    ['nested'],
    ['nested/deep'],
    ['nested/pooled'],
  ])('computes the same at %s %s', async (...at) => {
    const { head, tail, answer } = await through(at.filter(Boolean));
    expect(answer).toEqual(whole);
    expect(tail.inputs).toEqual(head.outputs);
    expect(head.outputs.map(({ name }) => name)).toEqual(at.filter(Boolean));
  });

  it('tells shapes at the cut', async () => {
    const { head, tail } = await cutTensorFlow(model, 'nested/deep');
    expect(head.inputs).toEqual([{ name: 'image', dtype: 'float32', shape: ['?', 8, 8, 3] }]);
    expect(head.outputs).toEqual([{ name: 'nested/deep', dtype: 'float32', shape: ['?', 8, 8, 6] }]);
    expect(tail.outputs).toEqual([{ name: 'answer', dtype: 'float32', shape: ['?', 5] }]);
  });

  it('leaves the model as it was, and no tensors behind', async () => {
    const before = model.layers.map((layer) => layer.inboundNodes.length);
    const { head, tail } = await through('skip');
    const count = tf.memory().numTensors;
    for (let i = 0; i < 3; i++) await tail.run(await head.run({ image }));
    expect(tf.memory().numTensors).toBe(count);
    expect(model.layers.map((layer) => layer.inboundNodes.length)).toEqual(before);
    await head.release();
    await tail.release();
    expect((model.predict(tf.zeros([1, 8, 8, 3])) as tf.Tensor).shape).toEqual([1, 5]);
  });

  it('refuses cuts that do not separate', async () => {
    const cut = (...at: string[]) => expect(cutTensorFlow(model, at)).rejects;
    await cut('shared#0').toEqual(failure('CUT_INVALID', /'shared#0' does not cut.*'image'/));
    await cut('shared').toEqual(failure('CUT_INVALID', /'shared#0', 'shared#1'/));
    await cut('skip', 'stem').toEqual(failure('CUT_INVALID', /do not need 'stem'/));
    await cut('skip', 'skip').toEqual(failure('CUT_INVALID', /twice/));
    await cut('image').toEqual(failure('CUT_INVALID', /head is empty/));
    await cut('answer').toEqual(failure('CUT_INVALID', /tail is empty/));
    await cut().toEqual(failure('CUT_INVALID', /at least one/));
    await cut('skp').toEqual(failure('CUT_UNKNOWN', /did you mean 'skip'/));
    await cut('nested/nothing').toEqual(failure('CUT_UNKNOWN'));
    await cut('constructor').toEqual(failure('CUT_UNKNOWN'));
  });

  it('cuts a sequential model, a layer with two outputs, and beside a second input', async () => {
    const sequential = tf.sequential({
      layers: [
        tf.layers.dense({ units: 4, inputShape: [3], name: 'first', activation: 'tanh' }),
        tf.layers.dense({ units: 2, name: 'second' }),
      ],
    });
    const x = values([2, 3]);
    const { head, tail } = await cutTensorFlow(sequential, 'first');
    const expected = sequential.predict(tf.tensor(x.data as Float32Array, [2, 3])) as tf.Tensor;
    const [input] = head.inputs.map(({ name }) => name);
    expect((await tail.run(await head.run({ [input]: x }))).second.data).toEqual(expected.dataSync());

    const steps = tf.input({ shape: [4, 3], name: 'steps' });
    const extra = tf.input({ shape: [5], name: 'extra' });
    const [last, state] = tf.layers
      .gru({ units: 5, returnState: true, name: 'gru' })
      .apply(steps) as tf.SymbolicTensor[];
    const sum = tf.layers.add({ name: 'sum' }).apply([last, state, extra]) as tf.SymbolicTensor;
    const model = tf.model({ inputs: [steps, extra], outputs: sum });
    await expect(cutTensorFlow(model, 'gru')).rejects.toEqual(failure('CUT_INVALID', /'gru:0', 'gru:1'/));
    await expect(cutTensorFlow(model, ['gru:0', 'gru:1'])).rejects.toEqual(failure('CUT_INVALID', /'extra'/));
    const halves = await cutTensorFlow(model, ['gru:0', 'gru:1', 'extra']);
    const given = { steps: values([2, 4, 3]), extra: values([2, 5]) };
    const whole = await (await openTensorFlow(model)).run(given);
    expect(await halves.tail.run(await halves.head.run(given))).toEqual(whole);
  });

  it('refuses a cut that would lose a mask of padding, and keeps masks inside a half', async () => {
    const model = tf.sequential({
      layers: [
        tf.layers.embedding({ inputDim: 9, outputDim: 4, maskZero: true, inputShape: [5], name: 'words' }),
        tf.layers.lstm({ units: 3, name: 'read' }) as tf.layers.Layer,
        tf.layers.dense({ units: 2, name: 'answer' }),
      ],
    });
    await expect(cutTensorFlow(model, 'words')).rejects.toEqual(failure('CUT_INVALID', /mask/));
    const { head, tail } = await cutTensorFlow(model, 'read');
    const tokens = float([2, 5], 1, 2, 0, 0, 0, 3, 4, 5, 6, 0);
    const expected = model.predict(tf.tensor(tokens.data as Float32Array, [2, 5])) as tf.Tensor;
    const count = tf.memory().numTensors;
    const results = await tail.run(await head.run({ [head.inputs[0].name]: tokens }));
    expect(results.answer.data).toEqual(expected.dataSync());
    expect(tf.memory().numTensors).toBe(count);
  });

  it('refuses what is no model, and one that is not built', async () => {
    for (const given of [null, 5, {}, []]) {
      await expect(openTensorFlow(given as never)).rejects.toEqual(failure('INVALID_ARGUMENT', /LayersModel/));
    }
    await expect(openTensorFlow(tf.sequential())).rejects.toEqual(failure('INVALID_ARGUMENT', /cannot be built/));
  });
});

describe('a graph model cut in two', () => {
  /** (x . w) split in halves, multiplied, and added to a skip connection. */
  const branched = () =>
    graphModel(
      [
        placeholder('x', 'float32', [-1, 4]),
        {
          name: 'block/matmul',
          op: 'MatMul',
          input: ['x', 'w'],
          attr: { ...T, transpose_a: { b: false }, transpose_b: { b: false } },
        },
        { name: 'block/relu', op: 'Relu', input: ['block/matmul'], attr: T },
        { name: 'split', op: 'Split', input: ['axis', 'block/relu'], attr: { ...T, num_split: { i: '2' } } },
        { name: 'product', op: 'Mul', input: ['split', 'split:1'], attr: T },
        { name: 'scaled', op: 'Mul', input: ['product', 'two'], attr: T },
        { name: 'rows', op: 'Shape', input: ['scaled'], attr: { ...T, ...typed('int32', 'out_type') } },
        { name: 'total', op: 'Sum', input: ['scaled', 'last'], attr: { ...T, keep_dims: { b: true } } },
        { name: 'Identity', op: 'AddV2', input: ['scaled', 'total'], attr: T },
      ],
      {
        w: values([4, 4]),
        two: float([], 2),
        axis: { dtype: 'int32', shape: [], data: Int32Array.of(1) },
        last: { dtype: 'int32', shape: [1], data: Int32Array.of(1) },
      },
      {
        inputs: { pixels: { name: 'x:0', dtype: 'DT_FLOAT' } },
        outputs: { logits: { name: 'Identity:0', dtype: 'DT_FLOAT' } },
      },
    );
  const pixels = values([3, 4]);
  let model: tf.GraphModel;
  let whole: Record<string, Tensor>;
  beforeAll(async () => {
    model = await branched();
    whole = await (await openTensorFlow(model)).run({ pixels });
  });
  afterAll(() => model.dispose());

  it('runs whole, by the names of its signature', async () => {
    const expected = model.predict({ pixels: tf.tensor(pixels.data as Float32Array, [3, 4]) }) as tf.Tensor;
    expect(whole).toEqual({ logits: { dtype: 'float32', shape: [3, 2], data: expected.dataSync() } });
  });

  it.each([['block/matmul'], ['block/relu:0'], ['product'], ['scaled'], ['scaled', 'total']])(
    'computes the same at %s %s',
    async (...given) => {
      const at = given.filter(Boolean);
      const { head, tail } = await cutTensorFlow(model, at);
      const count = tf.memory().numTensors;
      expect(await tail.run(await head.run({ pixels }))).toEqual(whole);
      expect(tf.memory().numTensors).toBe(count);
      expect(tail.inputs).toEqual(head.outputs);
    },
  );

  it('tells shapes and types that the file does not', async () => {
    const { head, tail } = await cutTensorFlow(model, 'block/relu');
    expect(head.inputs).toEqual([{ name: 'pixels', dtype: 'float32', shape: ['?', 4] }]);
    expect(head.outputs).toEqual([{ name: 'block/relu', dtype: 'float32', shape: ['?', 4] }]);
    expect(tail.outputs).toEqual([{ name: 'logits', dtype: 'float32', shape: ['?', 2] }]);
  });

  it('refuses cuts that do not separate', async () => {
    const cut = (...at: string[]) => expect(cutTensorFlow(model, at)).rejects;
    await cut('total').toEqual(failure('CUT_INVALID', /'total' does not cut.*'x'/));
    await cut('split').toEqual(failure('CUT_INVALID', /does not cut/));
    await cut('split:0', 'split:1').toEqual(failure('CUT_INVALID', /two outputs of one node/));
    await cut('scaled', 'w').toEqual(failure('CUT_INVALID', /'w'/));
    await cut('x').toEqual(failure('CUT_INVALID', /head is empty/));
    await cut('Identity').toEqual(failure('CUT_INVALID', /tail is empty/));
    await cut('block/rel').toEqual(failure('CUT_UNKNOWN', /did you mean 'block\/relu'/));
    await cut('toString').toEqual(failure('CUT_UNKNOWN'));
  });

  it('runs graphs whose shapes depend on values', async () => {
    const dynamic = await graphModel(
      [
        placeholder('x', 'float32', [-1]),
        { name: 'positive', op: 'Greater', input: ['x', 'zero'], attr: T },
        { name: 'where', op: 'Where', input: ['positive'] },
        { name: 'y', op: 'Identity', input: ['where'], attr: typed('int32') },
      ],
      { zero: float([], 0) },
    );
    const count = tf.memory().numTensors;
    const whole = await openTensorFlow(dynamic);
    const { y } = await whole.run({ x: float([4], 1, -1, 2, -2) });
    expect(y).toEqual({ dtype: 'int32', shape: [2, 1], data: Int32Array.of(0, 2) });
    expect(tf.memory().numTensors).toBe(count);
    await expect(cutTensorFlow(dynamic, 'positive')).rejects.toEqual(failure('CUT_INVALID', /bool.*float32/));
  });

  it('refuses a cut inside a loop', async () => {
    const loop = await graphModel(
      [
        placeholder('x', 'float32', [-1, 2]),
        { name: 'before', op: 'Neg', input: ['x'], attr: T },
        {
          name: 'enter',
          op: 'Enter',
          input: ['before'],
          attr: { ...T, frame_name: { s: 'Zg==' }, is_constant: { b: false } },
        },
        { name: 'inside', op: 'Neg', input: ['enter'], attr: T },
        { name: 'exit', op: 'Exit', input: ['inside'], attr: T },
        { name: 'y', op: 'Neg', input: ['exit'], attr: T },
      ],
      {},
    );
    await expect(cutTensorFlow(loop, 'inside')).rejects.toEqual(failure('CUT_SUBGRAPH', /'inside'/));
    const { head, tail } = await cutTensorFlow(loop, 'before');
    expect((await tail.run(await head.run({ x: float([1, 2], 1, 2) }))).y.data).toEqual(Float32Array.of(-1, -2));
    expect((await cutTensorFlow(loop, 'exit')).tail.inputs).toHaveLength(1);
  });
});
