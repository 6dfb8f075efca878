import type { ByteItem } from '../../../src/codec/index.ts';
import { type BenchDocument, type Point, type Sample, summarize } from '../../../src/evaluate/index.ts';

const CUTS = ['after block 3', 'after block 6'];
const TASKS = ['classification', 'captioning', 'vqa'];
const METRIC = { classification: 'top1', captioning: 'bleu4', vqa: 'accuracy' };

/** Ways with their settings, bytes of the finest, and where they are cut; the coarser half bytes and lose more. */
const LADDERS: readonly [Point['way'], readonly string[], number, cut: boolean][] = [
  ['png', ['level=9'], 80_000, false],
  ['jpeg', ['q=90 4:2:0', 'q=75 4:2:0', 'q=50 4:2:0'], 16_000, false],
  ['jpeg', ['q=90 4:4:4', 'q=75 4:4:4', 'q=50 4:4:4'], 19_000, false],
  ['webp', ['q=80', 'q=60', 'q=30'], 11_000, false],
  ['avif', ['q=80 4:2:0', 'q=63 4:2:0'], 9_000, false],
  ['avif', ['q=80 4:4:4', 'q=63 4:4:4'], 9_800, false],
  ['raw-f32', ['float32'], 151_305, true],
  ['raw-f16', ['float16'], 75_657, true],
  ['int8-deflate', ['levels=31', 'levels=15'], 21_000, true],
  ['klt', ['step=0.5', 'step=1', 'step=2', 'step=4'], 8_000, true],
  ['klt-task', ['step=0.5', 'step=1', 'step=2'], 5_000, true],
  ['learned', ['fine (file)', 'middle (file)', 'coarse (file)'], 2_500, true],
];

function point(
  task: string,
  way: Point['way'],
  setting: string,
  bytes: number,
  loss: number,
  cut: string | null,
): Point {
  const score = 84.5 - loss;
  const sent = way !== 'reference' && way !== 'device';
  return {
    task,
    way,
    setting,
    cut,
    images: 200,
    score,
    scoreLow: score - 5,
    scoreHigh: score + 5,
    loss,
    lossLow: sent ? loss - 1.5 : 0,
    lossHigh: sent ? loss + 1.25 : 0,
    bytes,
    bytesP50: Math.round(bytes),
    bytesP95: Math.round(bytes * 1.2),
    bytesMax: Math.round(bytes * 1.4),
    idealBytes: way === 'klt' ? bytes - 4 : null,
    agreement: 100 - loss * 2,
    headShare: way === 'device' ? 1 : cut === null ? 0 : 0.5,
    headMs: cut === null ? (way === 'device' ? 20 : null) : 8.5,
    encodeMs: sent ? 1.5 : null,
    decodeMs: sent ? 0.75 : null,
    tailMs: way === 'device' ? null : 11,
  };
}

function pointsOf(task: string): Point[] {
  const ladders = LADDERS.flatMap(([way, settings, finest, cut]) =>
    (cut ? CUTS : [null]).flatMap((at, c) =>
      settings.map((setting, i) =>
        point(task, way, setting, finest / 2 ** i / (c + 1), settings.length === 1 ? 0 : 0.05 + 0.8 * i * i, at),
      ),
    ),
  );
  return [
    point(task, 'reference', 'stored file', 21_000, 0, null),
    point(task, 'device', 'answer', 2, 0, null),
    ...ladders,
  ];
}

const SPENT: readonly ByteItem[] = [
  { what: 'frame', bytes: 9 },
  { what: 'features, components 0 to 7', bytes: 400.5 },
  { what: 'features, components 8 to 15', bytes: 300 },
  { what: 'state of the coder and rounding', bytes: 3.5 },
];

/** The tiniest WebP picture: one pixel. */
const PICTURE = Buffer.from('UklGRiQAAABXRUJQVlA4IBgAAAAwAQCdASoBAAEAAgA0JaQAA3AA/vuUAAA=', 'base64');

function sampleOf(task: string, i: number, points: readonly Point[]): Sample {
  return {
    task,
    image: `images/val/${task}-${i}.jpg`,
    chosen: i % 2 === 0 ? 'drawn' : 'most changed',
    picture: PICTURE,
    asked: [
      {
        ask: task === 'vqa' ? 'what is left of the cube' : null,
        truths: [`truth ${i}`, 'another'],
        reference: { text: `truth ${i}`, same: true, credit: task === 'captioning' ? null : 1 },
        answers: points.flatMap((each, at) =>
          each.task === task
            ? [
                {
                  point: at,
                  bytes: Math.round(each.bytes) + i,
                  text: each.way === 'learned' ? 'something else' : `truth ${i}`,
                  same: each.way !== 'learned',
                  credit: task === 'captioning' ? null : each.way === 'learned' ? 0 : 1,
                },
              ]
            : [],
        ),
      },
    ],
  };
}

/** A measurement as a run gives it: three tasks, fourteen ladders at two cuts. */
export function newDocument(run: Partial<BenchDocument['run']> = {}): BenchDocument {
  const points = TASKS.flatMap(pointsOf);
  return {
    run: {
      suite: 'rooms',
      split: 'val',
      tasks: TASKS,
      cuts: Object.fromEntries(CUTS.map((name) => [name, [name]])),
      ways: ['reference', 'device', 'jpeg', 'klt'],
      limit: 200,
      seed: 7,
      batch: Object.fromEntries(TASKS.map((task) => [task, 8])),
      threads: 1,
      resamples: 1000,
      runtime: 'onnxruntime-node 1.30.0',
      encoders: { sharp: '0.35.5' },
      metric: METRIC,
      reference: Object.fromEntries(Object.entries(METRIC).map(([task, metric]) => [task, { [metric]: 84.5 }])),
      trainingImages: 300,
      skipped: [],
      notes: [],
      complete: true,
      command: ['isthmus', 'bench', 'rooms', '--cut', 'after block 3'],
      date: '2026-11-28T05:00:00.000Z',
      seconds: 90,
      peakMemoryBytes: 2 ** 30,
      versions: { isthmus: '0.1.0', node: 'v20.20.2' },
      machine: { platform: 'linux x64', cpu: 'a processor', cores: 2, memoryBytes: 2 ** 34 },
      ...run,
    },
    points,
    summary: summarize(points),
    spent: points.map(({ way }) => (way === 'klt' ? SPENT : [])),
    samples: TASKS.flatMap((task) => [0, 1].map((i) => sampleOf(task, i, points))),
  };
}

/** Only what a stopped run had finished: its first `count` points. */
export function stopped(document: BenchDocument, count: number): BenchDocument {
  const points = document.points.slice(0, count);
  return {
    run: { ...document.run, complete: false },
    points,
    summary: summarize(points),
    spent: document.spent.slice(0, count),
    samples: document.samples
      .filter(({ task }) => points.some((each) => each.task === task))
      .map((sample) => ({
        ...sample,
        asked: sample.asked.map((asked) => ({ ...asked, answers: asked.answers.filter((each) => each.point < count) })),
      })),
  };
}
