import type { CodecEntry } from '../src/demo/wire.ts';
import type { BudgetRange } from './budget.ts';
import type { Encoded } from './device-worker.ts';
import { byId, make, percent, whole } from './dom.ts';
import type { RatePacket } from './encoder.ts';
import { JPEG_QUALITY } from './picture.ts';

/* What the page shows of the packet: the budget's slider with the rates below it, the packet's bytes, and the picture's sizes beside it. */

/** Bytes of a packet that are drawn at most. */
const DRAWN = 4096;
const FRAME_BYTES = 9;

export function showRange({ min, max, step }: BudgetRange, budget: number): void {
  const slider = byId<HTMLInputElement>('budget');
  Object.assign(slider, { min, max, step, disabled: false, value: String(budget) });
  slider.setAttribute('aria-valuetext', `${whole(budget)} bytes`);
  byId('budget-value').textContent = `${whole(budget)} bytes`;
}

/** A mark below the slider for each rate's packet of this picture. */
export function showRates(packets: readonly RatePacket[], { min, max }: BudgetRange, sent: RatePacket | null): void {
  const marks = [...packets]
    .sort((a, b) => a.bytes.length - b.bytes.length)
    .map((packet) => {
      const mark = make('li', packet === sent ? 'sent' : '', whole(packet.bytes.length));
      mark.style.setProperty('--at', String((packet.bytes.length - min) / (max - min)));
      return mark;
    });
  byId('rates').replaceChildren(...marks);
}

/** The packet that is sent, or that none is. */
export function showPacket(packet: RatePacket | null, { sizes, pixels }: Encoded, codec: CodecEntry | null): void {
  byId('packet').classList.toggle('none', packet === null);
  byId('packet-bytes').textContent = packet === null ? '–' : whole(packet.bytes.length);
  byId('packet-about').textContent =
    packet === null || codec === null ? '' : `${codec.name}, cut ${codec.cut}${codec.setting && `, ${codec.setting}`}`;
  drawBytes(packet?.bytes ?? new Uint8Array());
  const rows: [name: string, bytes: number | null][] = [
    ['Packet', packet?.bytes.length ?? null],
    [`JPEG, quality ${JPEG_QUALITY}`, sizes.jpeg],
    ['PNG', sizes.png],
  ];
  const most = Math.max(...rows.map(([, bytes]) => bytes ?? 0));
  byId('sizes').replaceChildren(
    ...rows.map(([name, bytes], i) => {
      const bar = make('i', i === 0 ? 'bar sent' : 'bar');
      bar.style.setProperty('--share', String((bytes ?? 0) / most));
      const times = i === 0 ? '' : timesOf(bytes ?? 0, packet);
      const value = make('dd', '', bytes === null ? '–' : `${whole(bytes)} bytes `, make('small', '', times));
      return make('div', '', make('dt', '', name), value, bar);
    }),
  );
  byId('sizes-note').textContent =
    `All of the same ${pixels.width} × ${pixels.height} pixels, as the network sees them.`;
}

function timesOf(bytes: number, packet: RatePacket | null): string {
  if (packet === null) return '';
  const times = bytes / packet.bytes.length;
  return `= ${times < 10 ? times.toFixed(1) : times.toFixed(0)} packets`;
}

/** Every byte a cell, the frame's in a colour of its own. */
function drawBytes(bytes: Uint8Array): void {
  const canvas = byId<HTMLCanvasElement>('packet-picture');
  const count = Math.min(DRAWN, bytes.length);
  const columns = Math.max(1, Math.ceil(Math.sqrt(6 * count)));
  canvas.width = columns;
  canvas.height = Math.max(1, Math.ceil(count / columns));
  const context = canvas.getContext('2d') as CanvasRenderingContext2D;
  const [ink, accent] = ['--data', '--frame'].map((name) => getComputedStyle(canvas).getPropertyValue(name));
  for (let i = 0; i < count; i++) {
    context.globalAlpha = 0.12 + (0.88 * bytes[i]) / 255;
    context.fillStyle = i < FRAME_BYTES ? accent : ink;
    context.fillRect(i % columns, Math.floor(i / columns), 1, 1);
  }
}

/** What crosses, in a sentence. */
export function sentenceOf(packet: RatePacket | null, codec: CodecEntry | null): string {
  if (packet === null || codec === null) return 'Nothing crosses the wire: no packet fits into the budget.';
  const { headShare } = codec;
  return (
    `This page ran the first ${percent(headShare)} of the network and sent ${whole(packet.bytes.length)} bytes: ${FRAME_BYTES} of frame, then ` +
    `integers, entropy-coded. The edge ran the other ${percent(1 - headShare)} and never saw the picture.`
  );
}
