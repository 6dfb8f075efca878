import { decodeSequences, encodeSequences, type Lanes, lanesFor, type TableBank } from '../../src/entropy/index.ts';
import { fastest, type Native, openNative, type Trial, tryAll } from './native.ts';
import { asBytes, type Peer } from './peers.ts';
import { interleave, type Timing, type Work } from './rounds.ts';
import { bankOf, draw, idealBytes, sourceOf } from './source.ts';
import { readyFor, take, WAYS } from './ways.ts';

/** One coder on the symbols of one source. */
export interface Row {
  readonly coder: string;
  readonly bytes: number;
  readonly encode: Timing;
  readonly decode: Timing;
  /** What the C coder was in this row. */
  readonly variants?: { readonly encode: string; readonly decode: string };
}

export interface Size {
  readonly symbols: number;
  readonly lanes: Lanes;
  readonly bytes: number;
  readonly idealBytes: number;
}

/** A source of one rate, and what all coders made of its symbols. */
export interface SyntheticResult {
  readonly rate: number;
  readonly symbols: number;
  readonly precision: number;
  /** Bytes by the source's own probabilities of these symbols, and by its tables'. */
  readonly idealBytes: number;
  readonly tableBytes: number;
  readonly rows: readonly Row[];
  /** All variants of the C coder: lanes, millions of symbols a second of the best of a few runs. Empty without gcc. */
  readonly native: readonly { direction: string; lanes: number; name: string; speed: number }[];
  /** Streams with the lanes that the library's rule chooses, the second for its size alone. */
  readonly sizes: readonly Size[];
}

/** Names of rows that others are compared with. */
export const C_SAME = 'C, 32 lanes';
export const C_BEST = 'C, best lanes';
export const ours = (way: string, lanes: Lanes) => `isthmus ${way}, ${lanes} ${lanes === 1 ? 'lane' : 'lanes'}`;

interface Coder extends Pick<Row, 'bytes' | 'variants'> {
  readonly name: string;
  readonly encode: Work;
  readonly decode: Work;
}

export interface Lengths {
  readonly symbols: number;
  readonly long: number;
  readonly rounds: number;
}

/** All coders on the same symbols, in rounds. `native` is null where there is no gcc. */
export async function measureSource(
  rate: number,
  { symbols, long, rounds }: Lengths,
  native: Native | null,
  peers: readonly Peer[],
): Promise<SyntheticResult> {
  const source = sourceOf(rate);
  const bank = bankOf(source);
  const values = draw(source, symbols, 1);
  const own = ([32, 1] as const).flatMap((lanes) => ourCoders(bank, values, lanes));
  const c = native && (await nativeCoders(native, bank, values));
  const coders = [...own, ...(c?.coders ?? []), ...peers.map((peer) => peerCoder(peer, asBytes(values)))];
  const timings = await interleave(
    coders.flatMap(({ encode, decode }) => [encode, decode]),
    rounds,
  );
  await c?.close();
  return {
    rate,
    symbols,
    precision: bank.precision,
    idealBytes: idealBytes(source, values),
    tableBytes: bank.bits(values) / 8,
    rows: coders.map(({ name, bytes, encode, decode, variants }) => ({
      coder: name,
      bytes,
      variants,
      encode: timings.get(encode.name) as Timing,
      decode: timings.get(decode.name) as Timing,
    })),
    native: (c?.trials ?? []).map(({ variant: { direction, lanes, name }, best }) => {
      return { direction, lanes, name, speed: Number((symbols / best / 1000).toPrecision(4)) };
    }),
    sizes: [sizeOf(bank, source, values), sizeOf(bank, source, draw(source, long, 2))],
  };
}

function ourCoders(bank: TableBank, values: Int32Array, lanes: Lanes): Coder[] {
  const streams = WAYS.map((way) => {
    take(way);
    return encodeSequences([{ model: bank, values }], lanes);
  });
  if (Buffer.compare(streams[0], streams[1]) !== 0) throw new Error('WebAssembly and TypeScript wrote other bytes');
  const [stream] = streams;
  return WAYS.map((way) => {
    const name = ours(way, lanes);
    const out = new Int32Array(values.length);
    const encode = () => encodeSequences([{ model: bank, values }], lanes);
    const decode = () => decodeSequences(stream, [{ model: bank, values: out }], lanes);
    take(way);
    decode();
    checkSame(name, values, out);
    return {
      name,
      bytes: stream.length,
      encode: { name: `${name} encode`, before: readyFor(way, encode), run: encode },
      decode: { name: `${name} decode`, before: readyFor(way, decode), run: decode },
    };
  });
}

async function nativeCoders(native: Native, bank: TableBank, values: Int32Array) {
  const stream = encodeSequences([{ model: bank, values }], 32);
  const coder = await openNative(native, bank, values, stream);
  const trials: Trial[] = await tryAll(coder);
  const coders = (
    [
      [C_SAME, 32],
      [C_BEST, null],
    ] as const
  ).map(([name, lanes]): Coder => {
    const [encode, decode] = [fastest(trials, 'encode', lanes), fastest(trials, 'decode', lanes)];
    return {
      name,
      bytes: encode.bytes,
      variants: { encode: `${encode.lanes} lanes, ${encode.name}`, decode: `${decode.lanes} lanes, ${decode.name}` },
      encode: { name: `${name} encode`, told: encode.run },
      decode: { name: `${name} decode`, told: decode.run },
    };
  });
  return { coders, trials, close: coder.close };
}

function peerCoder({ name, encode, decode, slow }: Peer, bytes: Uint8Array): Coder {
  const coded = encode(bytes);
  checkSame(name, bytes, decode(coded));
  return {
    name,
    bytes: coded.length,
    encode: { name: `${name} encode`, run: () => encode(bytes), slow },
    decode: { name: `${name} decode`, run: () => decode(coded) },
  };
}

function sizeOf(bank: TableBank, source: ReturnType<typeof sourceOf>, values: Int32Array): Size {
  const symbols = values.length;
  const lanes = lanesFor([{ model: bank, length: symbols }]);
  take('WebAssembly');
  const stream = encodeSequences([{ model: bank, values }], lanes);
  const out = new Int32Array(symbols);
  decodeSequences(stream, [{ model: bank, values: out }], lanes);
  checkSame(`${symbols} symbols`, values, out);
  return { symbols, lanes, bytes: stream.length, idealBytes: idealBytes(source, values) };
}

function checkSame(name: string, given: ArrayLike<number>, got: ArrayLike<number>): void {
  if (given.length !== got.length) throw new Error(`${name} gave ${got.length} symbols for ${given.length}`);
  for (let i = 0; i < given.length; i++)
    if (given[i] !== got[i]) throw new Error(`${name} gave another symbol at ${i}`);
}
