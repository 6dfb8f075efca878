import ndarray from 'ndarray';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Session, TensorInfo } from '../../src/runtime/session.ts';
import { allocate, type DType, type NumericData, type Tensor, type TensorData } from '../../src/tensor.ts';

/** Small models that every adapter brings in its own format, opened. */
export interface Subject {
  /** `x` float32 [any, 3] -> `y` = 2x + 1 float32 [any, 3], `z` = -x float32 [any, 3]. */
  affine(): Promise<Session>;
  /** `a` float32 [any, 2], `b` float32 [any, 2] -> `sum` = a + b. */
  sum(): Promise<Session>;
  /** `x` [any, 2] -> `y` = x, of a dtype. */
  copy(dtype: DType): Promise<Session>;
  /** `x` float32 [any, 2] -> `y` = x, `c` = [7, 8], a constant; absent where a model has no such outputs. */
  constant?(): Promise<Session>;
  /** `x` float32 [] -> `y` = 2x float32 []; absent where models have no scalars. */
  scalar?(): Promise<Session>;
  /** `x` float32 [n] -> a run that fails inside the runtime unless n is 4; absent where none can. */
  fails?(): Promise<Session>;
  readonly runtime: RegExp;
  readonly dtypes: readonly DType[];
  /** Whether tensors without elements run. */
  readonly zeroSize: boolean;
}

const floats = (shape: number[], ...values: number[]): Tensor => ({
  dtype: 'float32',
  shape,
  data: Float32Array.from(values),
});

const sample = (dtype: DType): TensorData => {
  if (dtype === 'string') return ['', 'ä€😀', 'two words', 'x'];
  const data = allocate(dtype, 4) as NumericData;
  const values = dtype === 'bool' ? [0, 1, 1, 0] : dtype.startsWith('uint') ? [0, 1, 100, 255] : [0, 1, -100, 127];
  values.forEach((value, i) => {
    data[i] = typeof data[i] === 'bigint' ? BigInt(value) : value;
  });
  return dtype === 'float16' ? Uint16Array.of(0, 0x3c00, 0x7bff, 0xc500) : data;
};

export const failure = (code: string, message: RegExp = /./) =>
  expect.objectContaining({ name: 'IsthmusError', code, message: expect.stringMatching(message) });

/** What every adapter of the Session port promises. */
export function sessionContract(name: string, prepare: () => Promise<Subject> | Subject): void {
  describe(`${name} keeps the Session contract`, () => {
    let subject: Subject;
    let affine: Session;
    beforeAll(async () => {
      subject = await prepare();
      affine = await subject.affine();
    });
    afterAll(() => affine?.release());

    it('tells its package and version', () => {
      expect(affine.runtime).toMatch(subject.runtime);
    });

    it('tells inputs and outputs, with a name where a dimension is open', () => {
      const open = (info: TensorInfo) => ({ ...info, shape: info.shape.map((d) => (typeof d === 'string' ? '?' : d)) });
      expect(affine.inputs.map(open)).toEqual([{ name: 'x', dtype: 'float32', shape: ['?', 3] }]);
      expect(affine.outputs.map(open)).toEqual([
        { name: 'y', dtype: 'float32', shape: ['?', 3] },
        { name: 'z', dtype: 'float32', shape: ['?', 3] },
      ]);
    });

    it('gives all outputs by default', async () => {
      const results = await affine.run({ x: floats([2, 3], 1, 2, 3, 4, 5, 6) });
      expect(results).toEqual({
        y: floats([2, 3], 3, 5, 7, 9, 11, 13),
        z: floats([2, 3], -1, -2, -3, -4, -5, -6),
      });
    });

    it('gives the outputs asked for, each once', async () => {
      expect(Object.keys(await affine.run({ x: floats([1, 3], 1, 2, 3) }, ['z']))).toEqual(['z']);
      const both = await affine.run({ x: floats([1, 3], 1, 2, 3) }, ['z', 'y', 'z']);
      expect(both).toEqual({ z: floats([1, 3], -1, -2, -3), y: floats([1, 3], 3, 5, 7) });
    });

    it('takes inputs by name, whatever their order', async () => {
      const session = await subject.sum();
      const results = await session.run({ b: floats([2, 2], 1, 2, 3, 4), a: floats([2, 2], 10, 20, 30, 40) });
      expect(results).toEqual({ sum: floats([2, 2], 11, 22, 33, 44) });
      await session.release();
    });

    it('takes ndarrays, also transposed and sliced ones, and views into larger buffers', async () => {
      const matrix = ndarray(Float32Array.of(0, 3, 1, 4, 2, 5), [3, 2]);
      const expected = floats([2, 3], 1, 3, 5, 7, 9, 11);
      expect((await affine.run({ x: matrix.transpose(1, 0) })).y).toEqual(expected);
      const wide = ndarray(Float32Array.of(9, 0, 1, 2, 9, 3, 4, 5), [2, 4]);
      expect((await affine.run({ x: wide.lo(0, 1) })).y).toEqual(expected);
      const view = Float32Array.of(9, 9, 0, 1, 2, 3, 4, 5, 9).subarray(2, 8);
      expect((await affine.run({ x: { dtype: 'float32', shape: [2, 3], data: view } })).y).toEqual(expected);
    });

    it('refuses missing, unknown and inherited names', async () => {
      const x = floats([1, 3], 1, 2, 3);
      await expect(affine.run({})).rejects.toEqual(failure('INVALID_ARGUMENT', /'x'.*missing/));
      await expect(affine.run({ x, other: x })).rejects.toEqual(failure('INVALID_ARGUMENT', /'other'.*'x'/));
      await expect(affine.run(Object.create({ x }))).rejects.toEqual(failure('INVALID_ARGUMENT', /'x'.*missing/));
      await expect(affine.run({ x }, ['nothing'])).rejects.toEqual(failure('INVALID_ARGUMENT', /'nothing'.*'y', 'z'/));
      await expect(affine.run({ x }, [])).rejects.toEqual(failure('INVALID_ARGUMENT', /at least one output/));
      await expect(affine.run(undefined as never)).rejects.toEqual(failure('INVALID_ARGUMENT', /feeds/));
    });

    it('refuses other dtypes, ranks, dimensions and lengths', async () => {
      const run = (x: unknown) => expect(affine.run({ x: x as Tensor })).rejects;
      await run({ dtype: 'float64', shape: [1, 3], data: new Float64Array(3) }).toEqual(
        failure('TENSOR_INVALID', /input 'x' takes float32 \[.+, 3\], got float64 \[1, 3\]/),
      );
      await run(floats([3], 1, 2, 3)).toEqual(failure('TENSOR_INVALID', /got float32 \[3\]/));
      await run(floats([1, 2], 1, 2)).toEqual(failure('TENSOR_INVALID', /got float32 \[1, 2\]/));
      await run({ dtype: 'float32', shape: [1, 3], data: new Float32Array(2) }).toEqual(failure('TENSOR_INVALID'));
      await run({ dtype: 'float32', shape: [1, 3], data: [1, 2, 3] }).toEqual(failure('TENSOR_INVALID', /'x'/));
      await run(5).toEqual(failure('TENSOR_INVALID', /'x'/));
    });

    it('goes on after a refused feed', async () => {
      await expect(affine.run({})).rejects.toThrow();
      expect((await affine.run({ x: floats([1, 3], 1, 2, 3) })).y.data).toEqual(Float32Array.of(3, 5, 7));
    });

    it('carries every dtype that the runtime takes', async () => {
      expect(subject.dtypes.length).toBeGreaterThan(0);
      for (const dtype of subject.dtypes) {
        const session = await subject.copy(dtype);
        expect(session.inputs[0].dtype).toBe(dtype);
        expect(session.outputs[0].dtype).toBe(dtype);
        const x: Tensor = { dtype, shape: [2, 2], data: sample(dtype) };
        expect((await session.run({ x })).y).toEqual(x);
        await session.release();
      }
    });

    it('runs tensors without elements, or says that it cannot', async () => {
      const run = affine.run({ x: floats([0, 3]) }, ['y']);
      if (subject.zeroSize) expect(await run).toEqual({ y: floats([0, 3]) });
      else await expect(run).rejects.toEqual(failure('RUNTIME_RUN'));
    });

    it('runs scalars', async () => {
      const session = await subject.scalar?.();
      if (session === undefined) return;
      expect((await session.run({ x: floats([], 21) })).y).toEqual(floats([], 42));
      await expect(session.run({ x: floats([1], 21) })).rejects.toEqual(failure('TENSOR_INVALID'));
      await session.release();
    });

    it('gives fresh tensors, which neither feeds nor later runs nor each other change', async () => {
      const x = floats([1, 3], 1, 2, 3);
      const first = await affine.run({ x });
      (x.data as Float32Array).fill(50);
      await affine.run({ x });
      expect(first.y.data).toEqual(Float32Array.of(3, 5, 7));

      const copy = await subject.copy('float32');
      const fed = floats([2, 2], 1, 2, 3, 4);
      const { y } = await copy.run({ x: fed });
      (fed.data as Float32Array).fill(50);
      expect(y.data).toEqual(Float32Array.of(1, 2, 3, 4));
      await copy.release();

      const constant = await subject.constant?.();
      if (constant === undefined) return;
      const { c } = await constant.run({ x: floats([1, 2], 1, 2) });
      (c.data as Float32Array).fill(50);
      expect((await constant.run({ x: floats([1, 2], 1, 2) })).c.data).toEqual(Float32Array.of(7, 8));
      await constant.release();
    });

    it('takes concurrent runs', async () => {
      const runs = Array.from({ length: 20 }, (_, i) => affine.run({ x: floats([1, 3], i, i, i) }, ['y']));
      const results = await Promise.all(runs);
      expect(results.map(({ y }) => y.data[0])).toEqual(Array.from({ length: 20 }, (_, i) => 2 * i + 1));
    });

    it('tells what failed inside the runtime, and goes on', async () => {
      const session = await subject.fails?.();
      if (session === undefined) return;
      await expect(session.run({ x: floats([3], 1, 2, 3) })).rejects.toEqual(
        failure('RUNTIME_RUN', /failed on \{ x: float32 \[3\] \}/),
      );
      expect(await session.run({ x: floats([4], 1, 2, 3, 4) })).toBeDefined();
      await session.release();
    });

    it('lets runs end before it releases, refuses later ones, and releases twice', async () => {
      const session = await subject.affine();
      const running = session.run({ x: floats([1, 3], 1, 2, 3) });
      const released = session.release();
      await expect(session.run({ x: floats([1, 3], 1, 2, 3) })).rejects.toEqual(failure('RUNTIME_RUN', /released/));
      expect((await running).y.data).toEqual(Float32Array.of(3, 5, 7));
      await released;
      await session.release();
      await expect(session.run({ x: floats([1, 3], 1, 2, 3) })).rejects.toEqual(failure('RUNTIME_RUN', /released/));
    });
  });
}
