import { toBinary } from '@bufbuild/protobuf';
import type { Command } from 'commander';
import { type Codec, readCard, readCodec, type TransformGraphs } from '../codec/index.ts';
import { readWhole } from '../files.ts';
import { DEFAULT_LIMITS } from '../limits.ts';
import {
  count,
  type Graph,
  inferShapes,
  mainGraph,
  openGraph,
  opsetOf,
  readGraph,
  tensorTypeOf,
  trueInputs,
  walkNodes,
  writeGraph,
} from '../onnx/index.ts';
import { TensorProtoSchema } from '../onnx/onnx_pb.ts';
import { type Frame, identity, openPacket, PACKET_VERSION } from '../packet/index.ts';
import { newTable, printable } from '../table.ts';
import { openCodec } from './codec-file.ts';

interface Options {
  codec?: string;
  externalData?: boolean;
  json?: boolean;
}

/** What `inspect` shows: facts, and what the bytes are spent on. */
interface Inspection {
  readonly kind: 'model' | 'codec' | 'packet';
  readonly bytes: number;
  readonly facts: Readonly<Record<string, unknown>>;
  readonly items: readonly { readonly what: string; readonly bytes: number }[];
}

/** Adds `isthmus inspect`. */
export function addInspect(program: Command): void {
  program
    .command('inspect')
    .summary('itemize a model, a codec file or a packet')
    .description('Tells what a file is and what each of its bytes is spent on.')
    .argument('<file>', 'an ONNX model, a codec file or a packet')
    .option('--codec <FILE>', 'for a packet: the codec that made it, to look into the body')
    .option('--external-data', 'for a model: read tensors that it keeps in other files of its folder')
    .option('--json', 'print as JSON')
    .addHelpText('after', '\nExample:\n  isthmus inspect photo.packet --codec block6.codec')
    .action(inspect);
}

async function inspect(path: string, options: Options): Promise<void> {
  const bytes = await readWhole(path, DEFAULT_LIMITS, 'onnxBytes', 'file');
  const inspection = await inspectionOf(path, bytes, options);
  process.stdout.write(options.json ? `${JSON.stringify(inspection)}\n` : textOf(path, inspection));
}

/** A codec file starts as a zip, a packet with its version, a model with neither. */
async function inspectionOf(path: string, bytes: Uint8Array, options: Options): Promise<Inspection> {
  if (bytes[0] === 0x50 && bytes[1] === 0x4b) return inspectCodec(bytes);
  if (options.codec !== undefined) return inspectPacket(openPacket(bytes), bytes, await openCodec(options.codec));
  if (bytes[0] >>> 4 === PACKET_VERSION) return inspectPacket(openPacket(bytes), bytes);
  if (!options.externalData) return inspectModel(readGraph(bytes), bytes.length);
  const graph = await openGraph(path, { externalData: true });
  return inspectModel(graph, writeGraph(graph).length);
}

function inspectPacket(frame: Frame, packet: Uint8Array, codec?: Codec): Inspection {
  return {
    kind: 'packet',
    bytes: packet.length,
    facts: {
      version: frame.version,
      codec: identity(frame.codec),
      checksum: frame.checksum.toString(16).padStart(8, '0'),
      ...(codec ? { kind: codec.kind, setting: codec.setting } : {}),
    },
    items: codec
      ? codec.itemize(packet)
      : [
          { what: 'frame', bytes: packet.length - frame.body.length },
          { what: 'body (add --codec FILE to look into it)', bytes: frame.body.length },
        ],
  };
}

function inspectCodec(bytes: Uint8Array): Inspection {
  const codec = readCodec(bytes);
  const stored = [...codec.entries].reduce((sum, [, entry]) => sum + entry.length, 0);
  const card = readCard(bytes);
  return {
    kind: 'codec',
    bytes: bytes.length,
    facts: {
      kind: codec.kind,
      setting: codec.setting,
      identity: identity(codec.id),
      feature: describeTensors(codec.features),
      ...(codec.transforms ? latentFacts(codec, codec.transforms) : {}),
      model: codec.model?.name ?? 'not named',
      ...(card === null ? {} : { card }),
    },
    items: [
      ...[...codec.entries].map(([what, entry]) => ({ what, bytes: entry.length })),
      { what: 'card and directory', bytes: bytes.length - stored },
    ],
  };
}

function latentFacts({ coded }: Codec, { analysis, synthesis }: TransformGraphs) {
  const size = (graph: Graph) => {
    const { totalMacs, totalParams } = count(graph);
    return `${totalParams} parameters, ${totalMacs} multiply-accumulates`;
  };
  return {
    latents: describeTensors(coded),
    analysis: size(analysis),
    synthesis: size(synthesis),
  };
}

function describeTensors(tensors: Codec['features']): string[] {
  return tensors.map(({ name, dtype, shape }) => `${name} ${dtype} [${shape.join(', ')}]`);
}

function inspectModel(graph: Graph, bytes: number): Inspection {
  const main = mainGraph(graph);
  const inferred = inferShapes(graph);
  const { totalMacs, totalParams } = count(graph, inferred);
  const operators = new Map<string, number>();
  for (const { node } of walkNodes(main)) operators.set(node.opType, (operators.get(node.opType) ?? 0) + 1);
  const describe = (values: typeof main.input) =>
    values.map(({ name, type }) => {
      const { dtype, shape } = tensorTypeOf(type) ?? {};
      return `${name} ${dtype ?? '?'} [${shape?.join(', ') ?? '?'}]`;
    });
  // As the file holds them: raw, or in one of the lists that TensorProto has for each kind of number.
  const weights = main.initializer.map((each) => ({
    what: each.name,
    bytes: toBinary(TensorProtoSchema, each).length,
  }));
  weights.sort((a, b) => b.bytes - a.bytes);
  const shown = weights.slice(0, 12);
  const shownBytes = shown.reduce((sum, item) => sum + item.bytes, 0);
  return {
    kind: 'model',
    bytes,
    facts: {
      producer: `${graph.producerName} ${graph.producerVersion}`.trim(),
      opset: opsetOf(graph),
      inputs: describe(trueInputs(main)),
      outputs: describe(main.output),
      parameters: totalParams,
      'multiply-accumulates (batch 1)': totalMacs,
      operators: [...operators].sort((a, b) => b[1] - a[1]).map(([name, n]) => `${name} ${n}`),
    },
    items: [...shown, { what: 'all else', bytes: bytes - shownBytes }],
  };
}

function textOf(path: string, { kind, bytes, facts, items }: Inspection): string {
  const lines = [`${path}: ${kind}, ${bytes} bytes`];
  for (const [name, value] of Object.entries(facts)) {
    if (name !== 'card') lines.push(printable(`  ${name}: ${Array.isArray(value) ? value.join(', ') : value}`));
  }
  const table = newTable(['spent on', 'bytes', 'share'], 1, process.stdout.isTTY === true);
  for (const item of items) {
    table.push([printable(item.what), Number(item.bytes.toFixed(1)), `${((100 * item.bytes) / bytes).toFixed(1)} %`]);
  }
  return `${lines.join('\n')}\n${table.toString()}\n`;
}
