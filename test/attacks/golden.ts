import { readFileSync } from 'node:fs';
import { type Codec, readCodec } from '../../src/codec/index.ts';
import { FRAME_BYTES } from '../../src/packet/index.ts';
import { elements } from '../../src/tensor.ts';
import { type Stream, streamOf } from './streams.ts';

/** A golden packet: the bytes, and the body after its frame. */
export interface GoldenBytes {
  readonly file: string;
  readonly packet: Uint8Array;
  readonly body: Uint8Array;
}

/** A codec that is attacked: read once, its packets at hand. */
export interface Subject {
  readonly file: string;
  readonly bytes: Uint8Array;
  readonly codec: Codec;
  /** How a report names packets of this codec. */
  readonly kind: string;
  /** Values that are coded, all tensors together. */
  readonly values: number;
  /** The integers of a body, where `streams.ts` knows the kind. */
  readonly stream: Stream | null;
  readonly packets: readonly GoldenBytes[];
}

const folder = new URL('../../fixtures/golden/', import.meta.url);
const load = (file: string): Uint8Array => new Uint8Array(readFileSync(new URL(file, folder)));

/** A codec as something to attack. */
export function subjectOf(
  file: string,
  bytes: Uint8Array,
  codec: Codec,
  packets: readonly GoldenBytes[] = [],
): Subject {
  const { version } = JSON.parse(new TextDecoder().decode(codec.entries.get('codec.json')));
  return {
    file,
    bytes,
    codec,
    kind: version === 1 ? codec.kind : `${codec.kind} of version ${version}`,
    values: codec.coded.reduce((sum, { shape }) => sum + elements(shape), 0),
    stream: streamOf(codec),
    packets,
  };
}

/** Everything in `fixtures/golden`, by codec: whatever is added there is attacked. */
export function goldenSubjects(): Subject[] {
  const manifest: { codecs: { file: string }[]; packets: { file: string; codec: string }[] } = JSON.parse(
    new TextDecoder().decode(load('manifest.json')),
  );
  return manifest.codecs.map(({ file }) => {
    const bytes = load(file);
    const packets = manifest.packets
      .filter(({ codec }) => codec === file)
      .map((entry) => {
        const packet = load(entry.file);
        return { file: entry.file, packet, body: packet.slice(FRAME_BYTES) };
      });
    return subjectOf(file, bytes, readCodec(bytes), packets);
  });
}
