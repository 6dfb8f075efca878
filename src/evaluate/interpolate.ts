import { ladderOf, PICTURE_WAYS, type Point, type Way } from './point.ts';

/** Losses, in points, that bytes are asked for. */
export const LOSS_TARGETS = [0.1, 0.5, 1] as const;

/** The largest of them, that a ladder is looked at where one of its points has to stand for it. */
export const WORKING_LOSS = Math.max(...LOSS_TARGETS);

/** Bytes that a ladder needs for a loss, or why it cannot say. */
export interface BytesAtLoss {
  /** Null where the ladder does not reach the loss, or starts below it. */
  readonly bytes: number | null;
  /** Bytes of the cheapest point where even that loses no more: fewer would do. */
  readonly below: number | null;
  /** Why there are no bytes. */
  readonly reason: string | null;
}

/** One ladder of one task: what each loss costs in bytes, and against the cheapest picture format at that loss. */
export interface SummaryRow {
  readonly task: string;
  readonly way: Way;
  /** Way, fixed part of the setting, and cut. */
  readonly ladder: string;
  readonly cut: string | null;
  readonly headShare: number;
  readonly at: readonly (BytesAtLoss & {
    readonly loss: number;
    /** Bytes divided by those of the best picture ladder at this loss. */
    readonly ratio: number | null;
    readonly bestPicture: string | null;
  })[];
}

interface Rung {
  readonly bytes: number;
  readonly loss: number;
}

/**
 * Losses made non-increasing in bytes: the least-squares fit by pooling adjacent violators, so that neither a lucky nor
 * an unlucky point decides alone. Sorted by bytes. Ayer et al. 1955; Barlow et al., Statistical Inference under Order
 * Restrictions, 1972.
 */
export function monotone(points: readonly Rung[]): Rung[] {
  const sorted = [...points].sort((a, b) => a.bytes - b.bytes);
  const pools: { sum: number; members: Rung[] }[] = [];
  for (const point of sorted) {
    pools.push({ sum: point.loss, members: [point] });
    while (pools.length > 1) {
      const [before, last] = pools.slice(-2);
      if (before.sum / before.members.length >= last.sum / last.members.length) break;
      pools.splice(-2, 2, { sum: before.sum + last.sum, members: [...before.members, ...last.members] });
    }
  }
  return pools.flatMap(({ sum, members }) => members.map(({ bytes }) => ({ bytes, loss: sum / members.length })));
}

/**
 * The fewest bytes at which a ladder loses no more than `target` points: linear in the logarithm of bytes between the
 * points of its monotone fit. A ladder of a single point (a lossless one) needs that point's bytes. Never extrapolated.
 */
export function bytesAtLoss(points: readonly Rung[], target: number): BytesAtLoss {
  const fit = monotone(points);
  const first = fit.findIndex(({ loss }) => loss <= target);
  if (first < 0) {
    const least = fit.length > 0 ? `its best point loses ${fit[fit.length - 1].loss.toFixed(2)}` : 'it has no points';
    return { bytes: null, below: null, reason: `the ladder does not reach ${target}: ${least}` };
  }
  if (first === 0) {
    if (fit.length === 1) return { bytes: fit[0].bytes, below: null, reason: null };
    return {
      bytes: null,
      below: fit[0].bytes,
      reason: `below ${Math.round(fit[0].bytes)} bytes: its cheapest point loses ${fit[0].loss.toFixed(2)}`,
    };
  }
  const above = fit[first - 1];
  const below = fit[first];
  const share = (above.loss - target) / (above.loss - below.loss);
  return {
    bytes: Math.exp(Math.log(above.bytes) + share * Math.log(below.bytes / above.bytes)),
    below: null,
    reason: null,
  };
}

/** Bytes at {@link LOSS_TARGETS} for every ladder, tasks and ladders in the order of their first points. */
export function summarize(points: readonly Point[]): SummaryRow[] {
  const rows: SummaryRow[] = [];
  for (const [task, ofTask] of grouped(points, ({ task }) => task)) {
    const ladders = grouped(
      ofTask.filter(({ way }) => way !== 'reference' && way !== 'device'),
      ladderOf,
    );
    const pictures = [...ladders].filter(([, ladder]) => PICTURE_WAYS.includes(ladder[0].way));
    const best = LOSS_TARGETS.map((loss) => {
      const found = pictures.flatMap(([name, ladder]) => {
        const { bytes, below } = bytesAtLoss(ladder, loss);
        return bytes === null && below === null ? [] : [{ name, bytes, atMost: bytes ?? (below as number) }];
      });
      // A format that needs less than its ladder says has no known ratio to anything.
      return found.sort((a, b) => a.atMost - b.atMost).at(0);
    });
    for (const [ladder, ofLadder] of ladders) {
      const { way, cut, headShare } = ofLadder[0];
      const at = LOSS_TARGETS.map((loss, i) => {
        const answer = bytesAtLoss(ofLadder, loss);
        const picture = best[i];
        const ratio = answer.bytes === null || !picture?.bytes ? null : answer.bytes / picture.bytes;
        return { loss, ...answer, ratio, bestPicture: picture?.name ?? null };
      });
      rows.push({ task, way, ladder, cut, headShare, at });
    }
  }
  return rows;
}

function grouped<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const name = key(item);
    const group = groups.get(name);
    if (group) group.push(item);
    else groups.set(name, [item]);
  }
  return groups;
}
