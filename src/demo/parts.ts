import { type Codec, readCodec } from '../codec/index.ts';
import { IsthmusError } from '../errors.ts';
import { type Cut, headShareOf, openCut } from '../evaluate/cuts.ts';
import { tokensOf } from '../evaluate/plan.ts';
import { type Network, openNetwork } from '../network.ts';
import { writeGraph } from '../onnx/index.ts';
import { FRAME_BYTES, identity } from '../packet/index.ts';
import { type Suite, type TaskName, taskNames } from '../tasks/index.ts';
import type { AnsweringData } from './answering.ts';
import type { CodecEntry, Manifest } from './wire.ts';

/** A codec file under the name that the page shows. */
export interface NamedCodec {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Head models, codec files and tails: the two halves of what a demo shows. */
export interface Parts {
  readonly codecs: Manifest['codecs'];
  /** What the page fetches, by address. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** What the answering thread opens. */
  readonly answering: Omit<AnsweringData, 'threads'>;
  /** Above this no packet of the codecs can be. */
  readonly packetBytes: number;
}

/** Bytes that an integer takes at most in a packet, escapes included, with room to spare. */
const INTEGER_BYTES = 8;

/**
 * Cuts the suite's networks where the codecs belong. Tasks that share what lies before a cut answer from the same packet.
 * Throws what opening models and codecs throws, `INVALID_ARGUMENT` without a codec and for one given twice, `CUT_…` for one that is
 * for another model.
 */
export async function openParts(suite: Suite, named: readonly NamedCodec[]): Promise<Parts> {
  if (named.length === 0) {
    throw new IsthmusError(
      'INVALID_ARGUMENT',
      `${suite.name} needs a codec: name the files with --codec (isthmus fit and isthmus train make them)`,
    );
  }
  const networks = new Map<TaskName, Network>();
  for (const task of taskNames(suite)) networks.set(task, await openNetwork(suite, task));
  const opened = named.map(({ name, bytes }) => ({ name, bytes, codec: readCodec(bytes) }));
  const tails: Uint8Array[] = [];
  const cuts = new Map<string, SharedCut>();
  for (const { codec } of opened) {
    const tensors = codec.features.map(({ name }) => name);
    if (!cuts.has(tensors.join())) cuts.set(tensors.join(), cutAll(suite, networks, tensors, tails));
  }
  const cutOf = ({ features }: Codec) => cuts.get(features.map(({ name }) => name).join()) as SharedCut;
  const files = new Map<string, Uint8Array>();
  for (const { name, bytes, codec } of opened) {
    if (files.has(addressOf(codec))) {
      throw new IsthmusError('INVALID_ARGUMENT', `the codec ${name} was given twice; name it once`);
    }
    const { head, cut } = cutOf(codec);
    files.set(addressOf(codec), bytes).set(head.url, cut.headModel);
  }
  return {
    codecs: opened.map(({ name, bytes, codec }) => entryOf(name, bytes, codec, cutOf(codec))),
    files,
    answering: {
      dir: suite.dir,
      codecs: opened.map(({ bytes, codec }) => ({ bytes, tails: cutOf(codec).tails })),
      tails,
    },
    packetBytes: Math.max(...opened.map(({ codec }) => mostBytes(codec))),
  };
}

/** A cut through the networks of all tasks that share what lies before it. */
interface SharedCut {
  readonly label: string;
  /** The first task's. */
  readonly cut: Cut;
  readonly head: CodecEntry['head'];
  readonly tails: AnsweringData['codecs'][number]['tails'];
}

/** Adds the tails' models to `models`. Throws the first task's `CUT_…` where no task has the cut. */
function cutAll(
  suite: Suite,
  networks: ReadonlyMap<TaskName, Network>,
  tensors: readonly string[],
  models: Uint8Array[],
): SharedCut {
  const found: { readonly task: TaskName; readonly cut: Cut }[] = [];
  const failures: unknown[] = [];
  for (const [task, { graph }] of networks) {
    try {
      found.push({ task, cut: openCut(graph, tensors, suite.input.name, tokensOf(suite, task)) });
    } catch (thrown) {
      if (!(thrown instanceof IsthmusError && thrown.code.startsWith('CUT_'))) throw thrown;
      failures.push(thrown);
    }
  }
  if (found.length === 0) throw failures[0];
  const [{ cut }] = found;
  const sharing = found.filter((each) => each.cut.headHash === cut.headHash);
  const named = Object.entries(suite.cuts).find(([, each]) => each.join() === tensors.join());
  return {
    label: named?.[0] ?? tensors.join(','),
    cut,
    head: { url: `/api/heads/${cut.headHash.slice(0, 16)}.onnx`, bytes: cut.headModel.length },
    tails: sharing.map((each) => ({ task: each.task, model: models.push(writeGraph(each.cut.tail)) - 1 })),
  };
}

function entryOf(name: string, bytes: Uint8Array, codec: Codec, { label, cut, head, tails }: SharedCut): CodecEntry {
  return {
    id: identity(codec.id),
    name,
    setting: codec.setting,
    cut: label,
    tasks: tails.map(({ task }) => task),
    headShare: headShareOf(cut, codec),
    url: addressOf(codec),
    bytes: bytes.length,
    head,
  };
}

function addressOf({ id }: Codec): string {
  return `/api/codecs/${identity(id)}.codec`;
}

function mostBytes({ coded }: Codec): number {
  const integers = coded.reduce((sum, { shape }) => sum + shape.reduce((product, length) => product * length, 1), 0);
  return FRAME_BYTES + 1024 + INTEGER_BYTES * integers;
}
