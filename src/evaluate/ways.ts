import type { Codec } from '../codec/index.ts';
import { IsthmusError } from '../errors.ts';
import { pixelsToTensor, type Tail } from '../tasks/index.ts';
import type { Tensor } from '../tensor.ts';
import { type Bed, pointOf } from './bed.ts';
import { type Conditions, journaled, measuring } from './conditions.ts';
import type { Cut } from './cuts.ts';
import type { Features } from './features.ts';
import type { Input } from './inputs.ts';
import type { Ladder, Rung } from './ladder.ts';
import { type Carried, measure } from './measure.ts';
import {
  decodePicture,
  encodePicture,
  PICTURE_FORMATS,
  PICTURE_SETTINGS,
  type PictureFormat,
  pictureSetting,
} from './pictures.ts';
import { PICTURE_WAYS, type Point, type Way } from './point.ts';

/** The uncut model on the prepared pixels; its bytes are those of the stored files. */
export function referenceRung(run: Conditions, bed: Bed): Rung {
  const setting = 'stored file';
  return rung(run, bed, { way: 'reference', setting, cut: null, identity: [] }, async () => {
    run.meter.add(bed.inputs.length);
    return pointOf(bed, {
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
    return pointOf(bed, {
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
  whole: readonly Tail[],
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
  whole: readonly Tail[],
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
      const carry = (input: Input) => carryPicture(run, input, format, quality);
      const { task, inputs, answers, wholeMs } = bed;
      // The same pixels get the same answers: they are compared, not run again.
      const sent = lossless
        ? { ...(await measure(null, inputs, carry, measuring(run))), answers, tailMs: wholeMs }
        : await measure({ task, tails: whole }, inputs, carry, measuring(run));
      return pointOf(bed, { way, setting, cut: null, headShare: 0, headMs: null, ...sent });
    },
  );
}

async function carryPicture(run: Conditions, input: Input, format: PictureFormat, quality: number): Promise<Carried> {
  const pixels = await run.store.pixels(input.path);
  const start = performance.now();
  const file = await encodePicture(pixels, format, quality);
  const encoded = performance.now();
  const decoded = await decodePicture(file);
  const end = performance.now();
  if (format.way === 'png' && Buffer.compare(decoded.data, pixels.data) !== 0) {
    throw new IsthmusError('IMAGE_UNREADABLE', `${input.path}: its pixels came back changed from PNG`);
  }
  return {
    received: [pixelsToTensor(decoded, run.suite.input)],
    bytes: file.length,
    idealBytes: null,
    encodeMs: encoded - start,
    decodeMs: end - encoded,
  };
}

/** What a ladder of codecs is measured with: a cut, its features, and the tails that go on from there. */
export interface CutBed {
  readonly cut: Cut;
  readonly features: Features;
  readonly tails: readonly Tail[];
}

/** The codec at a cut: head, packet, tail. */
export function codecRung(run: Conditions, bed: Bed, at: CutBed, codec: Codec, setting: string): Rung {
  const { cut, features, tails } = at;
  const way = codec.kind;
  const identity = [cut.headHash, codec.id];
  return rung(run, bed, { way, setting, cut: cut.name, identity }, async () => {
    const carry = async (input: Input) => carryFeature(codec, await features.of(input));
    const { task, inputs } = bed;
    const sent = await measure({ task, tails }, inputs, carry, measuring(run));
    return pointOf(bed, { way, setting, cut: cut.name, headShare: cut.headShare, headMs: features.headMs, ...sent });
  });
}

function carryFeature(codec: Codec, feature: readonly Tensor[]): Carried {
  const start = performance.now();
  const packet = codec.encode(feature);
  const encoded = performance.now();
  const received = codec.decode(packet);
  const end = performance.now();
  return {
    received,
    bytes: packet.length,
    idealBytes: codec.idealBytes(feature),
    encodeMs: encoded - start,
    decodeMs: end - encoded,
  };
}

interface RungName {
  readonly way: Way;
  readonly setting: string;
  readonly cut: string | null;
  /** What decides the point beside task, images and model. */
  readonly identity: readonly unknown[];
}

function rung(run: Conditions, bed: Bed, { way, setting, cut, identity }: RungName, make: () => Promise<Point>): Rung {
  const label = `${bed.name} ${way} ${setting}${cut === null ? '' : ` at ${cut}`}`;
  const all = [bed.name, ...bed.identity, way, setting, cut, ...identity];
  return { setting, measure: () => journaled(run, label, bed.inputs.length, all, make) };
}

/** Whether a way sends pictures or needs the uncut model alone. */
export function isUncut(way: Way): boolean {
  return way === 'reference' || way === 'device' || PICTURE_WAYS.includes(way);
}
