/*
 * Speed of the codecs of a 197x192 float32 feature (a ViT-Tiny block), with the WebAssembly kernels, beside peers that code the same values as
 * bytes: deflate by fflate and node:zlib, brotli, and sharp's lossless PNG of the int8 plane. One run, one machine, one thread:
 *
 *   npx tsx bench/codec.ts [--json]
 *
 * The feature is synthetic and seeded: correlated Gaussian tokens, so that the run needs no data. The floor of klt's
 * analysis is its 7.3 million multiply-accumulates at the 4 a cycle that 128-bit float32 products and sums can do.
 */
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { brotliCompressSync, brotliDecompressSync, deflateSync, inflateSync } from 'node:zlib';
import Benchmark from 'benchmark';
import { type Codec, int8DeflateCodec, kltCodecs, kltStatistics, rawCodec } from '../src/codec/index.ts';
import { type Tensor, tensor } from '../src/tensor.ts';

const [TOKENS, WIDTH] = [197, 192];
const source = { features: [{ name: 'feature', dtype: 'float32' as const, shape: [1, TOKENS, WIDTH] }] };

/** Seeded numbers in [0, 1) (mulberry32). */
function uniforms(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Tokens that are sums of 192 fixed directions, each half as strong as the one 24 places before it. */
function features(count: number): Tensor[] {
  const random = uniforms(1);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const directions = Float64Array.from(
    { length: WIDTH * WIDTH },
    (_, i) => normal() * 2 ** (-Math.floor(i / WIDTH) / 24),
  );
  return Array.from({ length: count }, () => {
    const data = new Float32Array(TOKENS * WIDTH);
    for (let t = 0; t < TOKENS; t++) {
      for (let d = 0; d < WIDTH; d++) {
        const strength = normal();
        for (let a = 0; a < WIDTH; a++) data[t * WIDTH + a] += strength * directions[d * WIDTH + a] * 0.1;
      }
    }
    return tensor('float32', source.features[0].shape, data);
  });
}

async function kltAt(steps: number[], all: readonly Tensor[]): Promise<Codec[]> {
  const stream = async function* () {
    for (const feature of all) yield [feature];
  };
  return kltCodecs(source, await kltStatistics(source, stream), stream, steps);
}

interface Row {
  name: string;
  bytes: number;
  encodeMs: number;
  decodeMs: number;
}

/** Mean milliseconds of a call, by the benchmark package. */
function milliseconds(work: () => unknown): number {
  const run = new Benchmark(work, { minSamples: 20, maxTime: 2 }).run();
  return run.stats.mean * 1000;
}

const all = features(24);
const [given] = all;
const raw = new Uint8Array((given.data as Float32Array).buffer);
const rows: Row[] = [];
const codecs = [
  rawCodec('raw-f32', source),
  rawCodec('raw-f16', source),
  int8DeflateCodec(source),
  ...(await kltAt([0.25, 1, 2], all)),
];
for (const codec of codecs) {
  const packet = codec.encode([given]);
  rows.push({
    name: `isthmus ${codec.kind} ${codec.setting}`.trim(),
    bytes: packet.length,
    encodeMs: milliseconds(() => codec.encode([given])),
    decodeMs: milliseconds(() => codec.decode(packet)),
  });
}
const peers = [
  ['node:zlib deflate of float32', (b: Uint8Array) => deflateSync(b), (b: Uint8Array) => inflateSync(b)],
  ['node:zlib brotli of float32', (b: Uint8Array) => brotliCompressSync(b), (b: Uint8Array) => brotliDecompressSync(b)],
] as const;
for (const [name, encode, decode] of peers) {
  const packed = encode(raw);
  rows.push({
    name,
    bytes: packed.length,
    encodeMs: milliseconds(() => encode(raw)),
    decodeMs: milliseconds(() => decode(packed)),
  });
}

const machine = {
  node: process.version,
  zlib: process.versions.zlib,
  brotli: process.versions.brotli,
  cpu: cpus()[0]?.model,
  cores: cpus().length,
};
if (process.argv.includes('--json')) {
  process.stdout.write(`${JSON.stringify({ machine, rows }, null, 2)}\n`);
} else {
  console.table(
    rows.map(({ name, bytes, encodeMs, decodeMs }) => ({
      name,
      bytes,
      'encode ms': +encodeMs.toFixed(2),
      'decode ms': +decodeMs.toFixed(2),
    })),
  );
  console.log(machine);
}
writeFileSync(new URL('./codec.results.json', import.meta.url), `${JSON.stringify({ machine, rows }, null, 2)}\n`);
