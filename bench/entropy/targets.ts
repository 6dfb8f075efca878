import type { PhotoResult } from './photos.ts';
import { C_BEST, C_SAME, ours, type Row, type SyntheticResult } from './synthetic.ts';
import { WAYS, type Way } from './ways.ts';

/** How many times as fast as a C coder, by medians and by best runs, in one direction. */
export interface Ratio {
  readonly rate: number;
  readonly way: Way;
  readonly direction: 'encode' | 'decode';
  readonly against: typeof C_SAME | typeof C_BEST;
  readonly median: number;
  readonly best: number;
}

/** One promise and what came of it; `met` is null where it could not be measured. */
export interface Target {
  readonly name: string;
  readonly goal: string;
  /** The worst of what was measured. */
  readonly worst: string;
  readonly met: boolean | null;
}

const SPEED = { WebAssembly: { decode: 1.8, encode: 1.2 }, TypeScript: { decode: 0.6, encode: 0.6 } } as const;
const PACKET_MS = 0.5;

/** Speeds of 32 lanes over those of C; empty where there is no C. */
export function ratios(synthetic: readonly SyntheticResult[]): Ratio[] {
  return synthetic.flatMap(({ rate, rows }) => {
    const row = (name: string) => rows.find(({ coder }) => coder === name);
    return WAYS.flatMap((way) =>
      ([C_SAME, C_BEST] as const).flatMap((against) => {
        const [mine, theirs] = [row(ours(way, 32)) as Row, row(against)];
        if (!theirs) return [];
        return (['encode', 'decode'] as const).map((direction) => ({
          rate,
          way,
          direction,
          against,
          median: theirs[direction].median / mine[direction].median,
          best: theirs[direction].best / mine[direction].best,
        }));
      }),
    );
  });
}

/** The targets of size and speed. Speeds are judged by medians. */
export function judge({ synthetic, photos }: { synthetic: readonly SyntheticResult[]; photos: PhotoResult | null }) {
  const targets: Target[] = [];
  const all = ratios(synthetic);
  for (const against of [C_SAME, C_BEST] as const) {
    for (const way of WAYS) {
      for (const direction of ['decode', 'encode'] as const) {
        const goal = SPEED[way][direction];
        const those = all.filter((r) => r.way === way && r.direction === direction && r.against === against);
        const worst = those.toSorted((a, b) => a.median - b.median)[0];
        targets.push({
          name: `${way} ${direction}s, over ${against}`,
          goal: `>= ${goal} x`,
          worst: worst ? `${worst.median.toFixed(2)} x at ${worst.rate} bits` : 'no gcc',
          met: worst ? worst.median >= goal : null,
        });
      }
    }
  }
  for (const way of WAYS) {
    for (const what of ['static', 'predictive']) {
      const rows = photos?.packets.filter((row) => row.way === way && row.what === what) ?? [];
      const slowest = Math.max(...rows.flatMap(({ encode, decode }) => [encode.median, decode.median]));
      targets.push({
        name: `a 197x192 feature as a packet, ${what}, ${way}`,
        goal: `< ${PACKET_MS} ms`,
        worst: photos ? `${slowest.toFixed(3)} ms` : 'no photos',
        met: photos ? slowest < PACKET_MS : null,
      });
    }
  }
  const sizes = synthetic.flatMap(({ rate, sizes }) => sizes.map((size) => ({ rate, ...size })));
  const over = ({ bytes, idealBytes }: (typeof sizes)[number]) => bytes / (idealBytes * 1.003 + 8);
  const largest = sizes.toSorted((a, b) => over(b) - over(a))[0];
  targets.push({
    name: 'coded size over the source, tables given',
    goal: '<= ideal x 1.003 + 8 bytes',
    worst: `${largest.bytes} for an ideal of ${largest.idealBytes.toFixed(1)} (${percent(largest.bytes / largest.idealBytes - 1)}) at ${largest.rate} bits, ${largest.symbols} symbols`,
    met: over(largest) <= 1,
  });
  return targets;
}

/** A share as text, with its sign. */
export function percent(share: number): string {
  return `${share < 0 ? '' : '+'}${(100 * share).toFixed(Math.abs(share) < 0.1 ? 3 : 1)} %`;
}
