import type { Encoded } from './device-worker.ts';
import { byId, make } from './dom.ts';
import type { EdgeAnswer } from './edge.ts';
import type { RatePacket } from './encoder.ts';

/* Milliseconds of each stage, as one bar and a list. */

type Stage = readonly [where: 'device' | 'wire' | 'edge', name: string, ms: number];

const TASKS = { classification: 'class', captioning: 'caption', vqa: 'question' } as const;

export function showTimes(encoded: Encoded, packet: RatePacket, answer: EdgeAnswer): void {
  const all = stagesOf(encoded, packet, answer);
  const total = all.reduce((sum, [, , ms]) => sum + ms, 0);
  byId('total').textContent = `${total.toFixed(0)} ms`;
  byId('time-bar').replaceChildren(
    ...all.map(([where, , ms]) => {
      const part = make('i', where);
      part.style.flexGrow = String(ms);
      return part;
    }),
  );
  byId('time-list').replaceChildren(
    ...all.map(([where, name, ms]) =>
      make('li', where, `${name} `, make('b', '', `${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)} ms`)),
    ),
  );
  byId('times').hidden = false;
}

export function hideTimes(): void {
  byId('times').hidden = true;
}

function stagesOf({ prepareMs, headMs }: Encoded, { packMs }: RatePacket, { times, roundMs }: EdgeAnswer): Stage[] {
  const tails = Object.entries(TASKS).flatMap(([task, name]): Stage[] => {
    const ms = times.tailMs[task as keyof typeof TASKS];
    return ms === undefined ? [] : [['edge', name, ms]];
  });
  const atEdge = times.queueMs + times.decodeMs + tails.reduce((sum, [, , ms]) => sum + ms, 0);
  return [
    ['device', 'prepare', prepareMs],
    ['device', 'head and analysis', headMs],
    ['device', 'quantize and code', packMs],
    ['wire', 'there and back', Math.max(0, roundMs - atEdge)],
    ['wire', 'waiting', times.queueMs],
    ['edge', 'decode', times.decodeMs],
    ...tails,
  ];
}
