import {
  type Codec,
  type CodecSource,
  type FeatureTensor,
  int8DeflateCodec,
  type OpenTransforms,
  openTransforms,
  rawCodec,
} from '../codec/index.ts';
import { IsthmusError } from '../errors.ts';
import { type Pixels, pixelsToTensor } from '../tasks/index.ts';
import type { Tensor } from '../tensor.ts';
import type { Answerer } from './answerer.ts';
import { type Bed, findingOf } from './bed.ts';
import { type Conditions, journaled, measuring } from './conditions.ts';
import { type Cut, headShareOf } from './cuts.ts';
import type { Finding } from './evidence.ts';
import type { Features } from './features.ts';
import { fitKltLadder, KLT_FIRST } from './fit.ts';
import type { Input } from './inputs.ts';
import type { Ladder, Rung } from './ladder.ts';
import type { Log } from './log.ts';
import { type Carried, measure } from './measure.ts';
import {
  decodePicture,
  encodePicture,
  PICTURE_FORMATS,
  PICTURE_SETTINGS,
  type PictureFormat,
  pictureSetting,
  type SentPicture,
} from './pictures.ts';
import { PICTURE_WAYS, type Way } from './point.ts';
import type { TaskLoss } from './sensitivity.ts';
import type { SuiteLosses } from './suite-losses.ts';

/** The uncut model on the prepared pixels; its bytes are those of the stored files. */
export function referenceRung(run: Conditions, bed: Bed): Rung {
  const setting = 'stored file';
  return rung(run, bed, { way: 'reference', setting, cut: null, identity: [] }, async () => {
    run.meter.add(bed.inputs.length);
    return findingOf(bed, {
      way: 'reference',
      setting,
      cut: null,
      answers: bed.answers,
      sizes: bed.inputs.map(({ fileBytes }) => fileBytes),
      idealBytes: null,
      headShare: 0,
      headMs: null,
      encodeMs: null,
      decodeMs: null,
      tailMs: bed.wholeMs,
    });
  });
}

/** The control: the device runs the whole model and sends the answers to all that is asked of an image. */
export function deviceRung(run: Conditions, bed: Bed): Rung {
  const setting = 'answer';
  return rung(run, bed, { way: 'device', setting, cut: null, identity: [] }, async () => {
    run.meter.add(bed.inputs.length);
    return findingOf(bed, {
      way: 'device',
      setting,
      cut: null,
      answers: bed.answers,
      sizes: bed.answers.map((ofImage) => ofImage.reduce<number>((sum, each) => sum + bed.task.answerBytes(each), 0)),
      idealBytes: null,
      headShare: 1,
      headMs: bed.wholeMs,
      encodeMs: null,
      decodeMs: null,
      tailMs: null,
    });
  });
}

/** A ladder of qualities for each picture format among the ways: encoded from the prepared pixels, run uncut. */
export function pictureLadders(
  run: Conditions,
  bed: Bed,
  whole: readonly Answerer[],
  ways: readonly Way[],
  versions: unknown,
): Ladder[] {
  return PICTURE_FORMATS.filter(({ way }) => ways.includes(way)).map((format) => ({
    first: format.first,
    rungs: format.qualities.map((quality) => pictureRung(run, bed, whole, format, quality, versions)),
  }));
}

function pictureRung(
  run: Conditions,
  bed: Bed,
  whole: readonly Answerer[],
  format: PictureFormat,
  quality: number,
  versions: unknown,
): Rung {
  const { way } = format;
  const setting = pictureSetting(format, quality);
  const lossless = way === 'png';
  return rung(
    run,
    bed,
    { way, setting, cut: null, identity: [format.chroma, quality, PICTURE_SETTINGS, versions] },
    async () => {
      const carry = (input: Input, alone: boolean) => carryPicture(run, input, format, quality, alone);
      const { inputs, answers, wholeMs } = bed;
      // The same pixels get the same answers: they are compared, not run again.
      const sent = lossless
        ? { ...(await measure([], inputs, carry, measuring(run))), answers, tailMs: wholeMs }
        : await measure(whole, inputs, carry, measuring(run));
      return findingOf(bed, { way, setting, cut: null, headShare: 0, headMs: null, ...sent });
    },
  );
}

/** What is timed is done anew; else a picture that another task has sent already is not encoded again. */
async function carryPicture(
  run: Conditions,
  { path }: Input,
  format: PictureFormat,
  quality: number,
  isTimed: boolean,
): Promise<Carried> {
  const key = `${path} ${format.way} ${pictureSetting(format, quality)}`;
  const kept = isTimed ? undefined : run.sent.get(key);
  const sent = kept ?? (await sendPicture(await run.store.pixels(path), path, format, quality));
  if (kept === undefined) run.sent.keep(key, sent);
  const { decoded, ...costs } = sent;
  return { received: [pixelsToTensor(decoded, run.suite.input)], idealBytes: null, ...costs };
}

async function sendPicture(pixels: Pixels, path: string, format: PictureFormat, quality: number): Promise<SentPicture> {
  const start = performance.now();
  const file = await encodePicture(pixels, format, quality);
  const encoded = performance.now();
  const decoded = await decodePicture(file);
  const end = performance.now();
  if (format.way === 'png' && Buffer.compare(decoded.data, pixels.data) !== 0) {
    throw new IsthmusError('IMAGE_UNREADABLE', `${path}: its pixels came back changed from PNG`);
  }
  return { decoded, bytes: file.length, encodeMs: encoded - start, decodeMs: end - encoded };
}

/** What a ladder of codecs is measured with: a cut, its features, and what answers from there. */
export interface CutBed {
  readonly cut: Cut;
  readonly features: Features;
  readonly answerers: readonly Answerer[];
}

/** The codec at a cut: head, packet, tail; what it runs in sessions is a part of encoding and decoding. */
export function codecRung(
  run: Conditions,
  bed: Bed,
  at: CutBed,
  codec: Codec,
  setting: string,
  way: Way = codec.kind,
): Rung {
  const { cut, features, answerers } = at;
  const identity = [cut.headHash, codec.id];
  return rung(run, bed, { way, setting, cut: cut.name, identity }, async () => {
    const transforms = await openTransforms(codec, run.open);
    try {
      const itemized = new Set(bed.inputs.slice(0, ITEMIZED));
      const carry = async (input: Input) =>
        carryFeature(codec, transforms, await features.of(input), itemized.has(input));
      const sent = await measure(answerers, bed.inputs, carry, measuring(run));
      const headShare = headShareOf(cut, codec);
      return findingOf(bed, { way, setting, cut: cut.name, headShare, headMs: features.headMs, ...sent });
    } finally {
      await transforms.release();
    }
  });
}

/** Images whose packets are taken apart: what bytes go to hardly varies, and looking costs as much as decoding. */
const ITEMIZED = 8;

async function carryFeature(
  codec: Codec,
  transforms: OpenTransforms,
  feature: readonly Tensor[],
  itemized: boolean,
): Promise<Carried> {
  const start = performance.now();
  const coded = await transforms.analyze(feature);
  const packet = codec.encode(coded);
  const encoded = performance.now();
  const received = await transforms.synthesize(codec.decode(packet));
  const end = performance.now();
  return {
    received,
    bytes: packet.length,
    idealBytes: codec.idealBytes(coded),
    encodeMs: encoded - start,
    decodeMs: end - encoded,
    ...(itemized ? { items: codec.itemize(packet) } : {}),
  };
}

/** Steps of int8-deflate, coarse to fine, and those that are always measured. */
const LEVELS = [15, 31, 63];
export const LEVELS_FIRST = [0, 2] as const;

/** Which codecs to measure, and the images to fit them on. */
export interface CodecWays {
  readonly ways: readonly Way[];
  readonly codecs: readonly { readonly name: string; readonly codec: Codec }[];
  readonly training: readonly Input[];
  readonly losses: SuiteLosses;
}

/** A ladder for each kind of codec among the ways, and for each codec file made for the cut. */
export async function codecLadders(
  run: Conditions,
  bed: Bed,
  at: CutBed,
  { ways, codecs, training, losses }: CodecWays,
  log: Log,
): Promise<Ladder[]> {
  const source = { features: featureTensors(at.cut, await at.features.of(bed.inputs[0])) };
  const ladders: Ladder[] = [];
  if (ways.includes('raw-f32')) ladders.push(single(codecRung(run, bed, at, rawCodec('raw-f32', source), 'float32')));
  if (ways.includes('raw-f16')) ladders.push(single(codecRung(run, bed, at, rawCodec('raw-f16', source), 'float16')));
  if (ways.includes('int8-deflate')) {
    const made = LEVELS.map((levels) => ({ codec: int8DeflateCodec(source, levels), setting: `levels=${levels}` }));
    ladders.push({
      first: LEVELS_FIRST,
      rungs: made.map(({ codec, setting }) => codecRung(run, bed, at, codec, setting)),
    });
  }
  if (ways.includes('klt') && training.length > 0) {
    ladders.push(await kltLadder(run, bed, at, source, training, 'klt', []));
  }
  if (ways.includes('klt-task') && training.length > 0) {
    try {
      ladders.push(
        await kltLadder(run, bed, at, source, training, 'klt-task', await losses.at(at.cut.tensors, run.signal)),
      );
    } catch (thrown) {
      if (!(thrown instanceof IsthmusError) || thrown.code === 'ABORTED') throw thrown;
      log.note(`klt-task is left out at ${at.cut.name}: ${thrown.message}`);
    }
  }
  for (const { name, codec } of codecs) {
    if (codec.features.map((each) => each.name).join() !== at.cut.name) continue;
    ladders.push(single(codecRung(run, bed, at, codec, `${name.replaceAll(' ', '_')} (file)`)));
  }
  return ladders;
}

/** The ladder of klt codecs, weighted by `losses` where there are any. */
async function kltLadder(
  run: Conditions,
  bed: Bed,
  at: CutBed,
  source: CodecSource,
  training: readonly Input[],
  way: Way,
  losses: readonly TaskLoss[],
): Promise<Ladder> {
  run.meter.begin(`fitting ${way} at ${at.cut.name}`);
  const { batch, signal, open, cache, seed } = run;
  const fitted = await fitKltLadder(source, at.features, training, losses, { batch, signal, open, cache, seed });
  // Features that hardly vary give the same codec for several rates.
  const distinct = fitted.filter(({ id }, i) => fitted.findIndex((other) => other.id === id) === i);
  const [from, to] = KLT_FIRST;
  return {
    first: [Math.min(from, distinct.length - 1), Math.min(to, distinct.length)],
    rungs: distinct.map((codec) => codecRung(run, bed, at, codec, codec.setting.replace(' ', '='), way)),
  };
}

function featureTensors(cut: Cut, feature: readonly Tensor[]): FeatureTensor[] {
  return feature.map(({ dtype, shape }, i) => {
    const name = cut.tensors[i];
    if (dtype === 'float32' || dtype === 'float16') return { name, dtype, shape };
    throw new IsthmusError('CUT_INVALID', `'${name}' is ${dtype}; codecs send float32 and float16: cut elsewhere`);
  });
}

/** A ladder of one rung. */
export function single(rung: Ladder['rungs'][number]): Ladder {
  return { rungs: [rung], first: [0, 1] };
}

interface RungName {
  readonly way: Way;
  readonly setting: string;
  readonly cut: string | null;
  /** What decides the point beside task, images and model. */
  readonly identity: readonly unknown[];
}

function rung(
  run: Conditions,
  bed: Bed,
  { way, setting, cut, identity }: RungName,
  make: () => Promise<Finding>,
): Rung {
  const label = `${bed.name} ${way} ${setting}${cut === null ? '' : ` at ${cut}`}`;
  const all = [bed.name, ...bed.identity, way, setting, cut, ...identity];
  return { setting, measure: () => journaled(run, label, bed.inputs.length, all, make) };
}

/** Whether a way's codecs are fitted on training images. */
export function isFitted(way: Way): boolean {
  return way === 'klt' || way === 'klt-task';
}

/** Whether a way sends pictures or needs the uncut model alone. */
export function isUncut(way: Way): boolean {
  return way === 'reference' || way === 'device' || PICTURE_WAYS.includes(way);
}
