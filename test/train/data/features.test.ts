import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Cache, type Head } from '../../../src/evaluate/index.ts';
import { cutNetwork, openNetwork } from '../../../src/network.ts';
import { writeGraph } from '../../../src/onnx/index.ts';
import { openOnnxRuntimeNode, type Session } from '../../../src/runtime/index.ts';
import { openSuite, prepare, type Suite } from '../../../src/tasks/index.ts';
import { floatToHalf, halfToFloat, type Tensor, tensor } from '../../../src/tensor.ts';
import {
  openTrainingFeatures,
  type Picture,
  parseAugmentation,
  readPictures,
  splitPictures,
  type TrainingFeaturesOptions,
  type Views,
} from '../../../src/train/index.ts';
import { makeTinySuite, TINY_CUT } from '../../tasks/tiny-suite.ts';

const COUNT = 10;
const SHAPE = [1, 17, 16];

let root: string;
let suite: Suite;
let pictures: Picture[];
let session: Session;
let head: Head;
/** Pictures in each run of the head since the test began. */
let runs: number[];
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'isthmus-training-features-'));
  await makeTinySuite(join(root, 'suite'), 3, { images: COUNT, splits: ['train'] });
  suite = await openSuite(join(root, 'suite'));
  pictures = await readPictures(await splitPictures(suite, 'train'), suite.input);
  const { graph } = await openNetwork(suite, 'classification');
  const cut = cutNetwork(graph, [TINY_CUT], 'pixels');
  session = await openOnnxRuntimeNode(writeGraph(cut.head), { threads: 1 });
  const counted: Session = {
    ...session,
    run: (feeds, fetches) => {
      runs.push((feeds.pixels as Tensor).shape[0]);
      return session.run(feeds, fetches);
    },
  };
  head = { session: counted, hash: cut.headHash, cut: [TINY_CUT] };
});
afterAll(async () => {
  await session.release();
  await rm(root, { recursive: true, force: true });
});

let caches = 0;
let cache: Cache;
beforeEach(() => {
  runs = [];
  cache = new Cache(join(root, `cache-${caches++}`));
});

type Options = Partial<TrainingFeaturesOptions & Views>;

const openWith = ({ input = suite.input, ...options }: Options = {}) => {
  const {
    pictures: chosen = pictures,
    versions = 3,
    augmentation = parseAugmentation({}),
    seed = 1,
    ...others
  } = options;
  return openTrainingFeatures({
    head,
    views: { input, pictures: chosen, versions, augmentation, seed },
    cache,
    batch: 4,
    ...others,
  });
};
const all = (count: number) => Array.from({ length: count }, (_, row) => row);

async function contents(options?: Options): Promise<Float32Array> {
  const features = await openWith(options);
  const [{ data }] = await features.read(all(features.count));
  await features.close();
  return data as Float32Array;
}

describe('openTrainingFeatures', () => {
  it("keeps the head's features, exact to float16, the first version of pictures as inference sees them", async () => {
    const features = await openWith();
    expect([features.count, features.keys.length]).toEqual([3 * COUNT, 3]);
    expect(features.columns).toEqual([{ name: TINY_CUT, dtype: 'float16', shape: SHAPE }]);
    const order = [7, 0, 9];
    const [read] = await features.read(order);
    expect([read.dtype, read.shape]).toEqual(['float32', [3, 17, 16]]);
    for (const [i, row] of order.entries()) {
      const made = await session.run({ pixels: await prepare(pictures[row].path, suite.input) });
      const halves = halfToFloat(floatToHalf(made[TINY_CUT].data as Float32Array));
      expect(read.data.slice(i * 17 * 16, (i + 1) * 17 * 16)).toEqual(halves);
    }
    await features.close();
  });

  it('gives the same bits for the same seed, and other variations for another', async () => {
    const expected = await contents();
    const own = expected.subarray(0, COUNT * 17 * 16);
    expect(await contents({ cache: new Cache(join(root, `cache-${caches++}`)), batch: 3 })).toEqual(expected);
    const other = await contents({ seed: 2 });
    expect(other.subarray(0, own.length)).toEqual(own);
    for (let version = 1; version < 3; version++) {
      const part = (values: Float32Array) => values.subarray(version * own.length, (version + 1) * own.length);
      expect(part(expected)).not.toEqual(own);
      expect(part(other)).not.toEqual(part(expected));
    }
  });

  it('runs the head once for a picture and a version, and more versions add to what is there', async () => {
    const counts: string[] = [];
    const onRows = (done: number, total: number) => counts.push(`${done}/${total}`);
    const two = await contents({ versions: 2, onRows });
    // One picture for its shapes, then two versions in batches of four.
    expect(runs).toEqual([1, 4, 4, 2, 4, 4, 2]);
    expect(counts).toEqual(['0/20', '4/20', '8/20', '10/20', '14/20', '18/20', '20/20']);
    const three = await contents({ versions: 3 });
    expect(runs.slice(7)).toEqual([1, 4, 4, 2]);
    expect(three.subarray(0, two.length)).toEqual(two);
    // Pictures as inference sees them are the same whatever the seed.
    await contents({ versions: 1, seed: 9 });
    expect(runs.slice(11)).toEqual([1]);
  });

  it('goes on where it was stopped', async () => {
    const controller = new AbortController();
    const onRows = (done: number) => done >= 14 && controller.abort();
    await expect(openWith({ signal: controller.signal, onRows })).rejects.toMatchObject({ code: 'ABORTED' });
    runs = [];
    const resumed = await contents();
    expect(runs).toEqual([1, 4, 2, 4, 4, 2]);
    expect(resumed).toEqual(await contents({ cache: new Cache(join(root, `cache-${caches++}`)) }));
  });

  it('keeps several tensors at a cut apart, of any shape', async () => {
    const two: Session = {
      ...session,
      async run(feeds) {
        const { shape, data } = feeds.pixels as Tensor;
        const first = Array.from({ length: shape[0] }, (_, i) => (data as Float32Array)[i * 3 * 32 * 32]);
        return {
          sums: tensor('float32', [2 * shape[0], 1], Float32Array.from(first.flatMap((value) => [value, -value]))),
          half: tensor('float16', [shape[0], 1, 3], floatToHalf(Float32Array.from(first.flatMap((v) => [v, 1, 2])))),
        };
      },
    };
    const features = await openWith({ head: { session: two, hash: 'two', cut: ['sums', 'half'] } });
    expect(features.columns.map(({ name, shape }) => [name, shape])).toEqual([
      ['sums', [2, 1]],
      ['half', [1, 1, 3]],
    ]);
    const [sums, half] = await features.read([3, 0]);
    expect([sums.shape, half.shape]).toEqual([
      [4, 1],
      [2, 1, 3],
    ]);
    const pixel = ((await prepare(pictures[3].path, suite.input)).data as Float32Array)[0];
    const kept = halfToFloat(floatToHalf(Float32Array.of(pixel)))[0];
    expect([...(sums.data as Float32Array)].slice(0, 2)).toEqual([kept, -kept]);
    expect([...(half.data as Float32Array)].slice(0, 3)).toEqual([kept, 1, 2]);
    await features.close();
  });

  it.each([
    ['no pictures', { pictures: [] }, 'INVALID_ARGUMENT'],
    ['no version', { versions: 0 }, 'INVALID_ARGUMENT'],
    ['half a version', { versions: 1.5 }, 'INVALID_ARGUMENT'],
    ['an augmentation out of range', { augmentation: { ...parseAugmentation({}), colour: 3 } }, 'INVALID_ARGUMENT'],
  ])('refuses %s', async (_, options, code) => {
    await expect(openWith(options)).rejects.toMatchObject({ code });
  });

  it('refuses features that are no floats, or more than float16 holds', async () => {
    const giving = (value: Tensor): Head => ({
      session: { ...session, run: async () => ({ y: value }) },
      hash: `${value.dtype}`,
      cut: ['y'],
    });
    const integers = giving(tensor('int64', [1, 1], BigInt64Array.of(1n)));
    await expect(openWith({ head: integers })).rejects.toMatchObject({
      code: 'TENSOR_INVALID',
      message: expect.stringContaining("'y' at the cut is int64"),
    });
    const large = giving(tensor('float32', [1, 1], Float32Array.of(1e5)));
    await expect(openWith({ head: large, batch: 1 })).rejects.toMatchObject({
      code: 'TENSOR_INVALID',
      message: expect.stringContaining('100000'),
    });
  });
});
