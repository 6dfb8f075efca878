import { sha256 as sha256Of } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { GOLDEN_CODECS, GOLDEN_PACKETS } from '../../fixtures/golden/cases.ts';
import { int32Bytes, integerBytes, sha256, valueBytes } from '../../fixtures/golden/decoded.ts';
import { GOLDEN_STREAMS, sequencesOf } from '../../fixtures/golden/streams.ts';
import { digestsOf, type SceneDigests } from '../../fixtures/scenes/samples/digests.ts';
import samples from '../../fixtures/scenes/samples/manifest.json' with { type: 'json' };
import { type Codec, readCard, readCodec } from '../../src/codec/index.ts';
import { decodeSequences, encodeSequences, type Lanes } from '../../src/entropy/index.ts';
import { kernelsInUse, useKernels } from '../../src/kernels/index.ts';
import { identity } from '../../src/packet/index.ts';
import { banksOf, randomPackets, randomStream } from './random.ts';

/*
 * What runs inside every runtime: no Node, no DOM. It reads and makes the golden files and says what differs.
 */

/**
 * How a runtime is made to code: by plain TypeScript; by the WebAssembly kernels that the code carries; with those, where the runtime
 * refuses to compile them, so that TypeScript must step in; by the kernels' file, handed over as a module.
 */
export type Way = 'typescript' | 'webassembly' | 'refused' | 'module';

/** What one run found; `digest` is over all random packets, with their integers and values, and all random streams. */
export interface Report {
  readonly codecs: number;
  /** Packets and streams that were decoded. */
  readonly packets: number;
  /** Packets and streams that were encoded. */
  readonly encoded: number;
  readonly random: number;
  readonly streams: number;
  /** Scenes that were drawn and rendered. */
  readonly scenes: number;
  readonly digest: string;
  readonly differences: readonly string[];
}

interface Manifest {
  readonly codecs: readonly { file: string; id: string; sha256: string }[];
  readonly packets: readonly {
    file: string;
    codec: string;
    sha256: string;
    integers: string | null;
    values: string;
  }[];
  readonly streams: readonly {
    file: string;
    lanes: Lanes;
    sequences: { tables: string; length: number }[];
    sha256: string;
    integers: string;
  }[];
}
/** What of the manifest is checked here. */
const SECTIONS = ['codecs', 'packets', 'streams'];

/** Vectors of a random stream: none, one, and more than fill 32 lanes once, twice, or many times. */
const VECTORS: readonly number[] = [0, 1, 31, 32, 33, 64, 65, 1000, 5003];

/**
 * Checks the golden files, which `files` gives in base64 by their names in `fixtures/golden`. `module` is what `src/kernels/kernels.wasm`
 * holds, for the way of that name. Once for each load of the code: kernels stay in use.
 */
export function check(files: Readonly<Record<string, string>>, way: Way, module?: WebAssembly.Module): Report {
  if (way === 'typescript') useKernels(null);
  if (module !== undefined) useKernels(module);
  const differences: string[] = [];
  let done = 0;
  /** Runs one comparison; what it throws or tells is a difference of `name`. */
  const compare = (name: string, differs: () => string | null): void => {
    done++;
    try {
      const difference = differs();
      if (difference !== null) differences.push(`${name}: ${difference}`);
    } catch (error) {
      differences.push(`${name}: ${error}`);
    }
  };
  const counted = (comparisons: () => void): number => {
    done = 0;
    comparisons();
    return done;
  };
  const golden = (file: string): Uint8Array => {
    if (!Object.hasOwn(files, file)) throw new Error(`${file} is not in fixtures/golden`);
    return Uint8Array.from(atob(files[file]), (character) => character.charCodeAt(0));
  };

  const manifest: Manifest = JSON.parse(new TextDecoder().decode(golden('manifest.json')));
  const unknown = Object.keys(manifest).filter((section) => !SECTIONS.includes(section));
  if (unknown.length > 0) differences.push(`the manifest has ${unknown.join(', ')}, which nothing here checks`);

  const codecOf = new Map<string, Codec>();
  const codec = (file: string): Codec => {
    const read = codecOf.get(file) ?? readCodec(golden(file));
    codecOf.set(file, read);
    return read;
  };
  const hash = sha256Of.create();
  const report = {
    codecs: counted(() => {
      for (const entry of manifest.codecs) compare(entry.file, () => codecDiffers(entry, golden(entry.file)));
      for (const made of GOLDEN_CODECS) {
        const file = `codecs/${made.file}.codec`;
        compare(`${file}, made again`, () => bytesDiffer(made.codec.toBytes(made.card), golden(file)));
      }
    }),
    packets: counted(() => {
      for (const entry of manifest.packets) {
        compare(entry.file, () => packetDiffers(entry, codec(entry.codec), golden(entry.file)));
      }
      for (const entry of manifest.streams) {
        compare(entry.file, () => streamDiffers(entry, golden(entry.file), golden));
      }
    }),
    encoded: counted(() => {
      for (const { file, codec: made, feature } of GOLDEN_PACKETS) {
        const name = `packets/${file}.packet`;
        compare(`${name}, encoded again`, () =>
          bytesDiffer(codec(`codecs/${made.file}.codec`).encode(feature), golden(name)),
        );
      }
      for (const made of GOLDEN_STREAMS) {
        const name = `streams/${made.file}.stream`;
        compare(`${name}, encoded again`, () =>
          bytesDiffer(encodeSequences(sequencesOf(made, golden, made.integers), made.lanes), golden(name)),
        );
      }
    }),
    random: manifest.codecs.reduce((features, { file }, seed) => {
      let done = 0;
      compare(`random features through ${file}`, () => {
        done = randomPackets(codec(file), seed, hash);
        return null;
      });
      return features + done;
    }, 0),
    streams: counted(() => {
      for (const [seed, { file }] of manifest.codecs.entries()) {
        for (const [i, bank] of banksOf(codec(file)).entries()) {
          for (const lanes of [1, 32] as const) {
            for (const vectors of VECTORS) {
              const name = `${vectors} random vectors in ${lanes} lanes through tables-${i}.bin of ${file}`;
              compare(name, () => randomStream(bank, vectors, lanes, seed, hash));
            }
          }
        }
      }
    }),
    scenes: counted(() => {
      for (const entry of samples.scenes.filter((_, i) => i % 2 === 0)) {
        compare(`scene ${entry.index} of ${entry.split}`, () => sceneDiffers(entry));
      }
    }),
    differences,
  };
  if (kernelsInUse() !== (way === 'webassembly' || way === 'module')) {
    differences.push(`the WebAssembly kernels are ${kernelsInUse() ? '' : 'not '}in use`);
  }
  return { ...report, digest: bytesToHex(hash.digest()) };
}

function codecDiffers(entry: Manifest['codecs'][number], bytes: Uint8Array): string | null {
  if (sha256(bytes) !== entry.sha256) return 'the file is another one than the manifest names';
  const codec = readCodec(bytes);
  if (identity(codec.id) !== entry.id) return `its identity is ${identity(codec.id)}, not ${entry.id}`;
  return bytesDiffer(codec.toBytes(readCard(bytes) ?? undefined), bytes);
}

function packetDiffers(entry: Manifest['packets'][number], codec: Codec, packet: Uint8Array): string | null {
  if (sha256(packet) !== entry.sha256) return 'the file is another one than the manifest names';
  const integers = integerBytes(codec, packet);
  if ((integers && sha256(integers)) !== entry.integers) return 'it decodes to other integers';
  return sha256(valueBytes(codec.decode(packet))) === entry.values ? null : 'it decodes to other values';
}

function streamDiffers(
  entry: Manifest['streams'][number],
  stream: Uint8Array,
  golden: (file: string) => Uint8Array,
): string | null {
  if (sha256(stream) !== entry.sha256) return 'the file is another one than the manifest names';
  const sequences = sequencesOf(entry, golden);
  decodeSequences(stream, sequences, entry.lanes);
  return sha256(int32Bytes(sequences.map(({ values }) => values))) === entry.integers
    ? null
    : 'it decodes to other integers';
}

function sceneDiffers(entry: SceneDigests): string | null {
  const { digests } = digestsOf(entry.split, entry.index);
  if (digests.picture !== entry.picture) return 'its picture is another one';
  return digests.owners === entry.owners ? null : 'its pixels belong to other things';
}

function bytesDiffer(bytes: Uint8Array, golden: Uint8Array): string | null {
  const at = bytes.findIndex((byte, i) => byte !== golden[i]);
  if (at >= 0) return `byte ${at} is ${bytes[at]}, not ${golden[at]}`;
  return bytes.length === golden.length ? null : `it has ${bytes.length} bytes, not ${golden.length}`;
}
