import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { buildGraph, type Graph, node } from '../../src/onnx/index.ts';
import { openOnnxRuntimeNode } from '../../src/runtime/index.ts';
import { type Tensor, tensor } from '../../src/tensor.ts';
import { type OptimizerSpec, Trainer, type TrainerOptions } from '../../src/train/index.ts';
import { codeOf } from '../code-of.ts';

const floats = (shape: number[], values: readonly number[]) => tensor('float32', shape, Float32Array.from(values));
const numbers = (value: Tensor) => [...(value.data as Float32Array)];

/** mean((x wᵀ + b)²), and the mean of the outputs as a report. */
const QUADRATIC = buildGraph({
  opset: 17,
  inputs: [{ name: 'x', dtype: 'float32', shape: ['n', 3] }],
  outputs: [{ name: 'loss', dtype: 'float32', shape: [] }],
  nodes: [
    node('Gemm', ['x', 'w', 'b'], ['y'], { transB: 1 }),
    node('Mul', ['y', 'y'], ['square']),
    node('ReduceMean', ['square'], ['loss'], { keepdims: 0 }),
    node('ReduceMean', ['y'], ['mean'], { keepdims: 0 }),
  ],
  initializers: { w: floats([2, 3], [1, -2, 0.5, 0.25, 3, -1]), b: floats([2], [0.1, -0.4]) },
});
const ROWS = [
  [1, 2, -1],
  [0.5, -1.5, 2],
  [-2, 0.25, 1],
];
const BATCH = { x: floats([3, 3], ROWS.flat()) };
const BOTH = [{ weights: ['w', 'b'] }];

const opened: Trainer[] = [];
function open(options: Partial<TrainerOptions> = {}, graph: Graph = QUADRATIC): Trainer {
  const trainer = new Trainer(graph, {
    loss: 'loss',
    groups: BOTH,
    optimizer: { kind: 'adamw' },
    open: openOnnxRuntimeNode,
    threads: 1,
    ...options,
  });
  opened.push(trainer);
  return trainer;
}
afterAll(() => Promise.all(opened.map((each) => each.release())));

describe('a training step', () => {
  interface Step {
    loss: number;
    norm: number;
    w: number[];
    b: number[];
  }
  const url = new URL('./optimizer.json', import.meta.url);
  const pytorch: { cases: Record<string, Step[]> } = JSON.parse(readFileSync(url, 'utf8'));

  /** What `optimizer.py` did; its learning rates, decays and clipping. */
  const CASES: Record<string, { optimizer: OptimizerSpec; rate: number; decay?: number; clip?: number }> = {
    adamw: { optimizer: { kind: 'adamw', beta1: 0.8, beta2: 0.95, epsilon: 1e-3 }, rate: 0.05, decay: 0.1 },
    'adamw, clipped': { optimizer: { kind: 'adamw' }, rate: 0.05, clip: 0.5 },
    sgd: { optimizer: { kind: 'sgd' }, rate: 0.05 },
    'sgd with momentum': { optimizer: { kind: 'sgd', momentum: 0.9 }, rate: 0.02, clip: 2 },
    "sgd with Nesterov's": { optimizer: { kind: 'sgd', momentum: 0.9, nesterov: true }, rate: 0.02 },
  };

  for (const [name, { optimizer, rate, decay, clip }] of Object.entries(CASES)) {
    it(`is PyTorch's: ${name}`, async () => {
      const trainer = open({ optimizer, clip, groups: [{ weights: ['w', 'b'], decay }] });
      for (const expected of pytorch.cases[name]) {
        const { loss, gradientNorm } = await trainer.step(BATCH, rate);
        expect(loss / expected.loss).toBeCloseTo(1, 5);
        expect(gradientNorm / expected.norm).toBeCloseTo(1, 5);
        const { w, b } = trainer.weights();
        for (const [i, value] of expected.w.entries()) expect(numbers(w)[i]).toBeCloseTo(value, 5);
        for (const [i, value] of expected.b.entries()) expect(numbers(b)[i]).toBeCloseTo(value, 5);
      }
    });
  }

  it('on several batches is that on all of their rows', async () => {
    const options = { clip: 0.5, average: 0.9, groups: [{ weights: ['w', 'b'], decay: 0.1 }], report: ['mean'] };
    const [one, three] = [open(options), open(options)];
    for (let i = 0; i < 4; i++) {
      const whole = await one.step(BATCH, 0.05);
      const parts = await three.step(
        ROWS.map((row) => ({ x: floats([1, 3], row) })),
        0.05,
      );
      expect(parts.loss).toBeCloseTo(whole.loss, 5);
      expect(parts.gradientNorm).toBeCloseTo(whole.gradientNorm, 4);
      expect(parts.reported.mean).toBeCloseTo(whole.reported.mean, 5);
    }
    for (const read of [(t: Trainer) => t.weights(), (t: Trainer) => t.averaged()]) {
      for (const name of ['w', 'b']) {
        for (const [i, value] of numbers(read(one)[name]).entries()) {
          expect(numbers(read(three)[name])[i]).toBeCloseTo(value, 5);
        }
      }
    }
  });

  it('leaves alone what is not trained, and gives each group its own rate', async () => {
    const frozen = open({ groups: [{ weights: ['w'] }] });
    await frozen.step(BATCH, 0.1);
    expect(Object.keys(frozen.weights())).toEqual(['w']);
    const optimizer = { kind: 'sgd' } as const;
    const [plain, scaled] = [
      open({ optimizer }),
      open({
        optimizer,
        groups: [
          { weights: ['w'], rate: 0.5 },
          { weights: ['b'], rate: 0 },
        ],
      }),
    ];
    await Promise.all([plain.step(BATCH, 0.1), scaled.step(BATCH, 0.2)]);
    expect(numbers(scaled.weights().w)).toEqual(numbers(plain.weights().w));
    expect(numbers(scaled.weights().b)).toEqual([...Float32Array.of(0.1, -0.4)]);
  });

  it('keeps an average of the weights, which remembers less at first', async () => {
    const trainer = open({ average: 0.5 });
    const expected = [0.1, -0.4];
    for (let step = 1; step <= 20; step++) {
      await trainer.step(BATCH, 0.05);
      const keep = Math.min(0.5, (1 + step) / (10 + step));
      for (const [i, b] of numbers(trainer.weights().b).entries()) expected[i] = b + keep * (expected[i] - b);
    }
    const averaged = numbers(trainer.averaged().b);
    for (const [i, value] of expected.entries()) expect(averaged[i]).toBeCloseTo(value, 5);
    expect(codeOf(() => open().averaged())).toBe('INVALID_ARGUMENT');
  });

  it('measures without training', async () => {
    const trainer = open({ average: 0.5, report: ['mean'] });
    const first = await trainer.step(BATCH, 0.05);
    const before = trainer.save();
    const { loss, reported } = await trainer.measure(BATCH);
    const averaged = await trainer.measure(BATCH, 'averaged');
    expect(loss).toBeLessThan(averaged.loss);
    expect(averaged.loss).toBeLessThan(first.loss);
    expect(trainer.save()).toEqual(before);
    const second = await trainer.step(BATCH, 0.05);
    expect(second.loss).toBeCloseTo(loss, 6);
    expect(second.reported.mean).toBeCloseTo(reported.mean, 6);
    await expect(open().measure(BATCH, 'averaged')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('goes on from a saved state to the same bits', async () => {
    const options = { average: 0.99, optimizer: { kind: 'adamw' } } as const;
    const [through, first, second] = [open(options), open(options), open(options)];
    for (let i = 0; i < 6; i++) await through.step(BATCH, 0.05);
    for (let i = 0; i < 3; i++) await first.step(BATCH, 0.05);
    second.restore(first.save());
    expect(second.done).toBe(3);
    for (let i = 0; i < 3; i++) await second.step(BATCH, 0.05);
    expect(second.save()).toEqual(through.save());
    expect(codeOf(() => open({ optimizer: { kind: 'sgd' } }).restore(first.save()))).toBe('CHECKPOINT_FOREIGN');
  });
});

describe('a step that cannot be', () => {
  const failure = async (attempt: Promise<unknown>) => {
    const error = await attempt.then(
      () => undefined,
      (thrown: Error & { code: string }) => thrown,
    );
    return { code: error?.code, message: error?.message };
  };

  it('names the loss that is not finite, and changes nothing', async () => {
    const trainer = open();
    await trainer.step(BATCH, 0.01);
    const before = trainer.save();
    const bad = { x: floats([1, 3], [1, Number.NaN, 0]) };
    for (const batches of [bad, [BATCH, bad]]) {
      const { code, message } = await failure(trainer.step(batches, 0.01));
      expect(code).toBe('TRAINING_DIVERGED');
      expect(message).toMatch(/step 2: the loss 'loss' is NaN/);
    }
    expect(trainer.save()).toEqual(before);
    expect((await trainer.step(BATCH, 0.01)).loss).toBeGreaterThan(0);
  });

  it('names the first gradient that is not finite', async () => {
    // √ has an infinite slope at 0, which w's gradient meets on the way to v's
    const graph = buildGraph({
      opset: 17,
      inputs: [{ name: 'x', dtype: 'float32', shape: [1] }],
      outputs: [{ name: 'loss', dtype: 'float32', shape: [] }],
      nodes: [
        node('Mul', ['x', 'v'], ['a']),
        node('Sqrt', ['a'], ['root']),
        node('Mul', ['root', 'w'], ['product']),
        node('ReduceSum', ['product'], ['loss'], { keepdims: 0 }),
      ],
      initializers: { v: floats([1], [1]), w: floats([1], [1]) },
    });
    const trainer = open({ groups: [{ weights: ['w', 'v'] }] }, graph);
    const { code, message } = await failure(trainer.step({ x: floats([1], [0]) }, 0.01));
    expect(code).toBe('TRAINING_DIVERGED');
    expect(message).toMatch(/step 1: the gradient of 'v' is not finite/);
  });

  it('is refused with the option at fault', () => {
    const half = buildGraph({
      opset: 17,
      inputs: [],
      outputs: [{ name: 'loss', dtype: 'float16', shape: [] }],
      nodes: [node('ReduceSum', ['h'], ['loss'], { keepdims: 0 })],
      initializers: { h: tensor('float16', [2], Uint16Array.of(1, 2)) },
    });
    const wrong: [Partial<TrainerOptions>, RegExp, Graph?][] = [
      [{ groups: [] }, /no weight/],
      [{ groups: [{ weights: ['x'] }] }, /no initializer 'x'/],
      [{ groups: [...BOTH, ...BOTH] }, /'w' is named twice/],
      [{ groups: [{ weights: ['h'] }] }, /'h' is float16/, half],
      [{ groups: [{ weights: ['w'], decay: -1 }] }, /decay/],
      [{ clip: 0 }, /clip/],
      [{ average: 1 }, /average/],
      [{ optimizer: { kind: 'adamw', beta1: 1 } }, /beta1/],
      [{ optimizer: { kind: 'adamw', epsilon: 0 } }, /epsilon/],
      [{ optimizer: { kind: 'sgd', nesterov: true } }, /momentum/],
      [{ optimizer: { kind: 'adam' } as never }, /adamw or sgd/],
      [{ report: ['nothing'] }, /'nothing'/],
    ];
    for (const [options, message, graph] of wrong) {
      const attempt = () => open(options, graph);
      expect(codeOf(attempt)).toBe('INVALID_ARGUMENT');
      expect(attempt).toThrow(message);
    }
  });
});
