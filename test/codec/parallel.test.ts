import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Codec, int8DeflateCodec, kltCodec, rawCodec } from '../../src/codec/index.ts';
import { sealPacket } from '../../src/packet/index.ts';
import { type Tensor, tensor } from '../../src/tensor.ts';
import { bank } from '../entropy/banks.ts';
import { uniforms } from '../entropy/cases.ts';
import { buildFloor, ROOT } from '../runtime/built.ts';
import { failure } from '../runtime/contract.ts';
import { feature, fitted, pair } from './features.ts';
import { learned } from './learned-codecs.ts';

const SIDE = 257;
const CHANNELS = 32;

function part(layout: { outer: number; length: number; inner: number }, seed: number) {
  const next = uniforms(seed);
  const { outer, length, inner } = layout;
  return {
    transform: {
      layout,
      components: length,
      mean: Float32Array.from({ length: outer * length * inner }, next),
      basis: Float32Array.from({ length: length * length }, () => (next() - 0.5) / 2),
    },
    step: 0.5,
    model: bank(length, 2000),
  };
}

/** A grid of channels whose packets have two segments, and a vector that has one. */
const large = kltCodec(
  {
    features: [
      { name: 'grid', dtype: 'float32', shape: [1, CHANNELS, SIDE, SIDE] },
      { name: 'vector', dtype: 'float16', shape: [1, 24] },
    ],
  },
  [part({ outer: 1, length: CHANNELS, inner: SIDE * SIDE }, 1), part({ outer: 1, length: 24, inner: 1 }, 2)],
);

function packetOf(codec: Codec, seed: number): Uint8Array {
  const next = uniforms(seed);
  return codec.encode(
    codec.features.map(({ dtype, shape }) => {
      const values = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, next);
      return dtype === 'float16' ? tensor(dtype, shape, new Uint16Array(values.length)) : tensor(dtype, shape, values);
    }),
  );
}

const bytesOf = ({ data }: Tensor): Buffer => {
  const { buffer, byteOffset, byteLength } = data as Float32Array;
  return Buffer.from(buffer, byteOffset, byteLength);
};

/** Whether two features are the same to the last bit; a comparison of millions of numbers that takes no seconds. */
function same(got: readonly Tensor[], wanted: readonly Tensor[]): boolean {
  return (
    got.length === wanted.length &&
    got.every((one, i) => {
      const other = wanted[i];
      return (
        one.dtype === other.dtype &&
        one.shape.join() === other.shape.join() &&
        Buffer.compare(bytesOf(one), bytesOf(other)) === 0
      );
    })
  );
}

let out: string;
let url: string;
let open: typeof import('../../src/codec/index.ts').openParallelDecoder;
const file = large.toBytes();
const packet = packetOf(large, 3);
const wanted = large.decode(packet);
/** Where the streams of `packet` start, after the frame and two lengths, and the end. */
const starts = [17];

beforeAll(async () => {
  out = `${ROOT}node_modules/.cache/isthmus-parallel-${process.pid}`;
  url = await buildFloor('codec', out);
  open = (await import(/* @vite-ignore */ url)).openParallelDecoder;
  const view = new DataView(packet.buffer);
  for (let i = 0; i < 2; i++) starts.push(starts[i] + view.getUint32(9 + 4 * i, true));
  starts.push(packet.length);
});
afterAll(() => rm(out, { recursive: true, force: true }));

it('a packet with restart points is itemized to the last byte', () => {
  const items = large.itemize(packet);
  expect(items).toContainEqual({ what: 'lengths of segments', bytes: 8 });
  expect(items.reduce((sum, { bytes }) => sum + bytes, 0)).toBeCloseTo(packet.length, 6);
  // Two streams of 32 states, one of 1.
  expect(items.at(-1)?.bytes).toBeGreaterThan(200);
  expect(items.at(-1)?.bytes).toBeLessThan(280);
});

describe('a decoder in threads', () => {
  it.each([1, 2, 7])('gives what the codec gives, to the last bit, with %d threads', async (workers) => {
    const decoder = await open(file, { workers });
    const got = await decoder.decode(packet);
    expect(same(got, wanted)).toBe(true);
    expect(got.every(({ data }) => (data as Float32Array).buffer instanceof ArrayBuffer)).toBe(true);
    await decoder.close();
  });

  it('decodes several packets at once, and keeps none of them', async () => {
    const decoder = await open(file);
    const other = packetOf(large, 4);
    const [first, second, third] = await Promise.all([packet, other, packet].map((bytes) => decoder.decode(bytes)));
    const otherWanted = large.decode(other);
    expect(same(first, wanted) && same(second, otherWanted) && same(third, wanted)).toBe(true);
    (first[0].data as Float32Array).fill(7);
    const again = await decoder.decode(other);
    await decoder.decode(packet);
    expect(same(again, otherWanted)).toBe(true);
    expect((first[0].data as Float32Array)[0]).toBe(7);
    await decoder.close();
  });

  it('decodes packets of one piece, of every kind of codec', async () => {
    const codecs = [
      rawCodec('raw-f32', pair),
      rawCodec('raw-f16', pair),
      int8DeflateCodec(pair),
      ...(await fitted(pair, [0.5])),
      kltCodec(pair, [part({ outer: 1, length: 6, inner: 25 }, 5), part({ outer: 1, length: 10, inner: 1 }, 6)], 1),
      learned(0.5, 'static'),
    ];
    for (const codec of codecs) {
      const decoder = await open(codec.toBytes(), { workers: 2 });
      const sent = codec.encode(codec.coded.map(({ shape }, i) => feature(shape, i)));
      expect(same(await decoder.decode(sent), codec.decode(sent)), codec.kind).toBe(true);
      await expect(decoder.decode(sent.slice(0, -1))).rejects.toEqual(failure('PACKET_TRUNCATED'));
      const longer = sealPacket(codec.id, Uint8Array.of(...sent.subarray(9), 0, 0));
      await expect(decoder.decode(longer)).rejects.toEqual(failure('PACKET_CORRUPT'));
      await decoder.close();
    }
  });

  it('refuses what the codec refuses, with the same error, and goes on', async () => {
    const decoder = await open(file, { workers: 2 });
    const flipped = packet.slice();
    flipped[5000] ^= 4;
    const sealed = (change: (body: Uint8Array) => Uint8Array) => sealPacket(large.id, change(packet.slice(9)));
    const bad = [
      new Uint8Array(),
      packet.subarray(0, 40),
      flipped,
      sealPacket(large.id + 1, packet.subarray(9)),
      // A right checksum over a length that is not, a stream that is not, one that is cut off, and bytes after the end.
      sealed((body) => body.fill(255, 0, 4)),
      sealed((body) => body.fill(0, starts[0] - 9, starts[0] - 9 + 128)),
      sealed((body) => body.fill(0x5a, starts[1] - 9 + 1000, starts[1] - 9 + 2000)),
      sealed((body) => body.subarray(0, -2)),
      sealed((body) => Buffer.concat([body, Buffer.alloc(2)])),
    ];
    for (const [i, bytes] of bad.entries()) {
      let error: unknown;
      try {
        large.decode(bytes);
      } catch (thrown) {
        error = thrown;
      }
      const { code, message } = error as { code: string; message: string };
      const rejected = await decoder.decode(bytes).then(
        () => null,
        (thrown) => thrown,
      );
      expect({ i, name: rejected?.name, code: rejected?.code, message: rejected?.message }).toEqual({
        i,
        name: 'IsthmusError',
        code,
        message,
      });
    }
    expect(same(await decoder.decode(packet), wanted)).toBe(true);
    await decoder.close();
  });

  it('stops at its signal, and goes on', async () => {
    const decoder = await open(file, { workers: 1 });
    await expect(decoder.decode(packet, { signal: AbortSignal.abort() })).rejects.toEqual(failure('ABORTED'));
    const controller = new AbortController();
    const stopped = expect(decoder.decode(packet, { signal: controller.signal })).rejects.toEqual(failure('ABORTED'));
    const going = decoder.decode(packet);
    controller.abort();
    await stopped;
    expect(same(await going, wanted)).toBe(true);
    await decoder.close();
  });

  it('rejects what is under way and what is asked when it is closed', async () => {
    const decoder = await open(file, { workers: 2 });
    const running = [1, 2, 3].map(() => expect(decoder.decode(packet)).rejects.toEqual(failure('ABORTED', /closed/)));
    await decoder.close();
    await Promise.all(running);
    await expect(decoder.decode(packet)).rejects.toEqual(failure('ABORTED', /closed/));
    await decoder.close();
  });

  it('is refused for a bad codec file, above a cap, and without threads', async () => {
    await expect(open(file.subarray(1))).rejects.toEqual(failure('CODEC_INVALID'));
    await expect(open(file, { limits: { featureBytes: 1000 } })).rejects.toEqual(failure('LIMIT_EXCEEDED'));
    for (const workers of [0, 1.5, Number.NaN]) {
      await expect(open(file, { workers })).rejects.toEqual(failure('INVALID_ARGUMENT', /workers/));
    }
    const decoder = await open(file, { limits: { packetBytes: 1000 }, workers: 1 });
    await expect(decoder.decode(packet)).rejects.toEqual(failure('LIMIT_EXCEEDED'));
    await decoder.close();
  });

  it('leaves the thread of its caller free', async () => {
    const decoder = await open(file, { workers: 1 });
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    await decoder.decode(packet);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(1);
    await decoder.close();
  });
});

describe('a process with a decoder in threads', () => {
  /** Runs code in a process of its own, with `decoder` open for a small codec, `packet` one of its packets, and the Workers listed. */
  const inProcess = async (code: string) => {
    const codec = rawCodec('raw-f32', { features: [{ name: 'x', dtype: 'float32', shape: [1, 3] }] });
    const setup = `
      import worker_threads from 'node:worker_threads';
      import { syncBuiltinESMExports } from 'node:module';
      const workers = [];
      worker_threads.Worker = class extends worker_threads.Worker {
        constructor(...given) { super(...given); workers.push(this); }
      };
      syncBuiltinESMExports();
      const { openParallelDecoder } = await import(${JSON.stringify(url)});
      const file = Buffer.from('${Buffer.from(codec.toBytes()).toString('base64')}', 'base64');
      const packet = Uint8Array.of(${codec.encode([tensor('float32', [1, 3], Float32Array.of(1, 2, 3))])});
      const told = (work) => work.then(([{ data }]) => console.log(data.join()), ({ name, code, message }) => console.log(name, code, message));
      const decoder = await openParallelDecoder(file);`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', setup + code], {
      timeout: 30_000,
    });
    return stdout.trim().split('\n');
  };

  it('ends when the decoder is idle', async () => {
    expect(await inProcess(`await told(decoder.decode(packet)); console.log('end');`)).toEqual(['1,2,3', 'end']);
  });

  it('goes on while the decoder works', async () => {
    expect(await inProcess(`told(decoder.decode(packet)); console.log('end');`)).toEqual(['end', '1,2,3']);
  });

  it('waits until the decoder is closed, whatever it was doing', async () => {
    const lines = await inProcess(`
      const running = [told(decoder.decode(packet)), told(decoder.decode(packet))];
      await decoder.close();
      await Promise.all(running);
      await told(decoder.decode(packet));
      console.log('end');`);
    expect(lines).toHaveLength(4);
    for (const line of lines.slice(0, 3)) expect(line).toMatch(/^IsthmusError ABORTED .*closed/);
    expect(lines[3]).toBe('end');
  });

  it('is told when a thread dies: of what it was decoding, of what waited, and after', async () => {
    const lines = await inProcess(`
      const running = [decoder.decode(packet), decoder.decode(packet)];
      await workers[0].terminate();
      for (const work of [...running, decoder.decode(packet)]) await told(work);
      await decoder.close();
      console.log('end');`);
    expect(lines).toHaveLength(4);
    for (const line of lines.slice(0, 3)) expect(line).toMatch(/^IsthmusError RUNTIME_RUN .*a decoding thread ended/);
    expect(lines[3]).toBe('end');
  });

  it('is told when a thread died while it was idle, and when one cannot start', async () => {
    const lines = await inProcess(`
      await workers[0].terminate();
      await told(decoder.decode(packet));
      worker_threads.Worker = class extends worker_threads.Worker {
        constructor(url, options) { super(new URL('missing.js', url), options); }
      };
      syncBuiltinESMExports();
      await told(openParallelDecoder(file));`);
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(line).toMatch(/^IsthmusError RUNTIME_RUN .*a decoding thread ended/);
  });
});
