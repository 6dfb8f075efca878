import { type Codec, type Graph, openDevice, openOnnxRuntimeWeb, type Pixels, readCodec, readGraph } from 'isthmus';
import type { Manifest } from '../src/demo/wire.ts';
import { ask } from './problem.ts';

/** A picture's packet at one rate. */
export interface RatePacket {
  /** The codec's identity, as in the manifest. */
  readonly codec: string;
  readonly bytes: Uint8Array;
  /** Quantizing and entropy coding. */
  readonly packMs: number;
}

export interface EncodedPixels {
  /** One for each codec. */
  readonly packets: readonly RatePacket[];
  /** Head and analysis, for all rates together. */
  readonly headMs: number;
}

/** Pixels of the input's own size to packets. */
export type Encoder = (pixels: Pixels) => Promise<EncodedPixels>;

interface NamedCodec {
  readonly id: string;
  readonly codec: Codec;
}

/**
 * Opens the device's half for every codec of the manifest. Codecs that differ in their rate alone share one device: head and analysis run
 * once a picture, and each packs what they give. `onLoad` is told the bytes that came and those that are to come.
 */
export async function openEncoder(manifest: Manifest, onLoad: (done: number, all: number) => void): Promise<Encoder> {
  const load = loaderOf(manifest, onLoad);
  const graphs = new Map<string, Graph>();
  const groups: { readonly head: Graph; readonly codecs: NamedCodec[] }[] = [];
  for (const {
    id,
    url,
    head: { url: headUrl },
  } of manifest.codecs) {
    const head = graphs.get(headUrl) ?? readGraph(await load(headUrl));
    graphs.set(headUrl, head);
    const codec = readCodec(await load(url));
    const group = groups.find((each) => each.head === head && sameAnalysis(each.codecs[0].codec, codec));
    if (group) group.codecs.push({ id, codec });
    else groups.push({ head, codecs: [{ id, codec }] });
  }
  const encoders: Encoder[] = [];
  for (const { head, codecs } of groups) encoders.push(await openRates(manifest.input, head, codecs));
  return async (pixels) => {
    const encoded: EncodedPixels[] = [];
    for (const encode of encoders) encoded.push(await encode(pixels));
    return {
      packets: encoded.flatMap(({ packets }) => packets),
      headMs: encoded.reduce((sum, { headMs }) => sum + headMs, 0),
    };
  };
}

/** One device whose codec packs at all rates what head and analysis give. */
async function openRates(input: Manifest['input'], head: Graph, codecs: readonly NamedCodec[]): Promise<Encoder> {
  let packets: RatePacket[] = [];
  const everyRate: Codec = {
    ...codecs[0].codec,
    encode(coded) {
      packets = codecs.map(({ id, codec }) => {
        const start = performance.now();
        const bytes = codec.encode(coded);
        return { codec: id, bytes, packMs: performance.now() - start };
      });
      return packets[0].bytes;
    },
  };
  const device = await openDevice({ input, head, codec: everyRate, open: openOnnxRuntimeWeb });
  return async (pixels) => {
    const start = performance.now();
    await device.encode(pixels);
    const packMs = packets.reduce((sum, each) => sum + each.packMs, 0);
    return { packets, headMs: performance.now() - start - packMs };
  };
}

function sameAnalysis(a: Codec, b: Codec): boolean {
  const [one, other] = [a, b].map(({ entries }) => entries.get('analysis.onnx'));
  if (one === undefined || other === undefined) return one === other;
  return one.length === other.length && one.every((byte, i) => byte === other[i]);
}

/** Fetches what the manifest names, each once, and tells how far that is. */
function loaderOf({ codecs }: Manifest, onLoad: (done: number, all: number) => void) {
  const sizes = new Map(
    codecs.flatMap(({ url, bytes, head }) => [[url, bytes] as const, [head.url, head.bytes] as const]),
  );
  const all = [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
  let done = 0;
  return async (url: string): Promise<Uint8Array> => {
    const bytes = new Uint8Array(await (await ask(url)).arrayBuffer());
    done += bytes.length;
    onLoad(done, all);
    return bytes;
  };
}
