import type { Manifest } from '../src/demo/wire.ts';
import { type BudgetRange, finestWithin, rangeAround } from './budget.ts';
import { type Camera, openCamera } from './camera.ts';
import { type Device, openDeviceThread } from './device.ts';
import type { Encoded } from './device-worker.ts';
import { byId, percent, say, whole } from './dom.ts';
import { askEdge, type EdgeAnswer } from './edge.ts';
import type { RatePacket } from './encoder.ts';
import { newestNext } from './newest.ts';
import { imageDataOf } from './picture.ts';
import { ask, problemOf } from './problem.ts';
import { showAnswerProblem, showAnswers, showBusy, showSuggestions, showTasks } from './show-answers.ts';
import { hideTimes, showTimes } from './show-times.ts';
import { sentenceOf, showPacket, showRange, showRates } from './show-wire.ts';
import { type Choice, fileChoice, samplesOf } from './sources.ts';

/* The page: a picture goes through the device's half, the finest packet within the budget goes to the edge, its answers are shown. */

/** After the last key of a question, before it is asked. */
const TYPING_MS = 300;
/** Between two frames of the camera at least. */
const FRAME_MS = 250;

const budgetInput = byId<HTMLInputElement>('budget');
const questionInput = byId<HTMLInputElement>('question');
const video = byId<HTMLVideoElement>('video');

let manifest: Manifest;
let device: Device;
let encoded: Encoded | null = null;
let range: BudgetRange | null = null;
let budget = Infinity;
let camera: Camera | null = null;
/** What the answers on the page belong to, and whether they stand there. */
let shown: Asked | null = null;

interface Asked {
  readonly encoded: Encoded;
  readonly packet: RatePacket;
  readonly question: string | null;
}

/** A picture through the device's half, then to the edge. */
const take = newestNext(async (choice: Choice) => {
  try {
    encoded = await device.encode(choice.sight);
  } catch (thrown) {
    say('picture-problem', problemOf(thrown).message);
    return;
  }
  say('picture-problem', null);
  showPicture(encoded, choice);
  const lengths = encoded.packets.map(({ bytes }) => bytes.length);
  range = rangeAround(lengths, range);
  budget = Math.min(budget, range.max);
  await respond();
});

function showPicture({ pixels }: Encoded, { about, questions }: Choice): void {
  const canvas = byId<HTMLCanvasElement>('picture');
  Object.assign(canvas, { width: pixels.width, height: pixels.height });
  canvas.getContext('2d')?.putImageData(imageDataOf(pixels), 0, 0);
  canvas.setAttribute('aria-label', `What the network sees: ${about}`);
  byId('about-picture').textContent = `${about} · ${pixels.width} × ${pixels.height} pixels`;
  showSuggestions(questions, (question) => {
    questionInput.value = question;
    void respond();
  });
}

/** Chooses the packet for the budget, and asks the edge where that is not what stands on the page. */
async function respond(): Promise<void> {
  if (encoded === null || range === null) return;
  const packet = finestWithin(encoded.packets, budget);
  const codec = manifest.codecs.find(({ id }) => id === packet?.codec) ?? null;
  showRange(range, budget);
  showRates(encoded.packets, range, packet);
  showPacket(packet, encoded, codec);
  byId('sentence').textContent = sentenceOf(packet, codec);
  const smallest = Math.min(...encoded.packets.map(({ bytes }) => bytes.length));
  say(
    'budget-problem',
    packet === null
      ? `No packet fits: the smallest of this picture has ${whole(smallest)} bytes. Nothing is sent.`
      : null,
  );
  if (packet === null) return empty();
  showTasks(codec?.tasks ?? []);
  const question = questionOf();
  const asked = { encoded, packet, question };
  if (shown !== null && same(shown, asked)) return;
  shown = asked;
  showBusy(true);
  await send(asked);
}

/** The question in the field; null without one, or with one that is too long, which is said. */
function questionOf(): string | null {
  const { length } = questionInput.value;
  const most = manifest.limits.questionCharacters;
  const tooLong = length > most;
  say(
    'question-problem',
    tooLong ? `The question has ${whole(length)} characters; ${whole(most)} are the most.` : null,
  );
  return tooLong || questionInput.value.trim() === '' || !manifest.tasks.includes('vqa') ? null : questionInput.value;
}

const send = newestNext(async (asked: Asked) => {
  if (shown !== asked) return;
  let answer: EdgeAnswer | null = null;
  let problem: string | null = null;
  try {
    answer = await askEdge(asked.packet.bytes, asked.question);
  } catch (thrown) {
    problem = problemOf(thrown).message;
  }
  // The reader has gone on: this answer is of no picture, budget or question that stands there now.
  if (shown !== asked) return;
  showBusy(false);
  showAnswers(answer);
  showAnswerProblem(problem);
  if (answer === null) {
    hideTimes();
    shown = null;
  } else showTimes(asked.encoded, asked.packet, answer);
});

function empty(): void {
  shown = null;
  showBusy(false);
  showAnswers(null);
  showAnswerProblem(null);
  hideTimes();
}

function same(a: Asked, b: Asked): boolean {
  return a.encoded === b.encoded && a.packet === b.packet && a.question === b.question;
}

/** Takes a picture that has to be fetched or looked at first. */
async function takeFrom(choose: () => Promise<Choice>): Promise<void> {
  stopCamera();
  try {
    await take(await choose());
  } catch (thrown) {
    say('picture-problem', problemOf(thrown).message);
  }
}

async function film(): Promise<void> {
  let current: Camera;
  try {
    current = await openCamera(video, stopCamera);
  } catch (thrown) {
    say('picture-problem', problemOf(thrown).message);
    return;
  }
  camera = current;
  say('picture-problem', null);
  showCamera(true);
  while (camera === current) {
    const start = performance.now();
    await take({ sight: await current.frame(), about: 'camera', questions: [] });
    await new Promise((resolve) => setTimeout(resolve, FRAME_MS - (performance.now() - start)));
  }
}

function stopCamera(): void {
  if (camera === null) return;
  camera.stop();
  camera = null;
  showCamera(false);
}

function showCamera(on: boolean): void {
  const button = byId('camera');
  button.textContent = on ? 'Stop' : 'Camera';
  button.setAttribute('aria-pressed', String(on));
  // Several answers a second are nothing to be read out.
  for (const id of ['answers', 'reply']) byId(id).setAttribute('aria-live', on ? 'off' : 'polite');
}

function listen(): void {
  const another = samplesOf(manifest);
  if (another) {
    byId('another').hidden = false;
    if (manifest.scenes) Object.assign(byId('another'), { textContent: 'New scene', ariaLabel: null });
    byId('another').addEventListener('click', () => takeFrom(another));
    void takeFrom(another);
  }
  byId('camera').addEventListener('click', () => (camera === null ? film() : stopCamera()));
  const file = byId<HTMLInputElement>('file');
  byId('open').addEventListener('click', () => file.click());
  file.addEventListener('change', () => {
    takeFile(file.files?.[0]);
    file.value = '';
  });
  document.addEventListener('paste', ({ clipboardData }) => takeFile(clipboardData?.files[0]));
  for (const type of ['dragenter', 'dragover', 'dragleave', 'drop'])
    document.addEventListener(type, (event) => drag(event as DragEvent));
  budgetInput.addEventListener('input', () => {
    budget = budgetInput.valueAsNumber;
    void respond();
  });
  let typing: ReturnType<typeof setTimeout>;
  questionInput.addEventListener('input', () => {
    clearTimeout(typing);
    typing = setTimeout(respond, TYPING_MS);
  });
  byId('vqa').addEventListener('submit', (event) => {
    event.preventDefault();
    void respond();
  });
}

function takeFile(file: File | undefined): void {
  if (file) void takeFrom(() => fileChoice(file, manifest));
}

function drag(event: DragEvent): void {
  event.preventDefault();
  const over = event.type === 'dragenter' || event.type === 'dragover';
  byId('drop-hint').hidden = !over;
  if (event.type === 'drop') takeFile(event.dataTransfer?.files[0]);
}

async function start(): Promise<void> {
  byId('state').textContent = 'Loading…';
  manifest = (await (await ask('/api/manifest')).json()) as Manifest;
  showTasks(manifest.tasks);
  device = await openDeviceThread(manifest, (done, all) => {
    byId('state').textContent =
      `Loading the device's half: ${percent(done / all)} of ${(all / 2 ** 20).toFixed(1)} MiB`;
  });
  byId('state').textContent = '';
  listen();
}

start().catch((thrown) => {
  byId('state').textContent = '';
  say('picture-problem', problemOf(thrown).message);
});
