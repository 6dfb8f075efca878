/** The range of the budget's slider, in bytes. */
export interface BudgetRange {
  readonly min: number;
  readonly max: number;
  readonly step: number;
}

/**
 * The finest of several packets that fit into a budget: the longest of at most `budget` bytes. Null where none fits.
 */
export function finestWithin<Packet extends { readonly bytes: Uint8Array }>(
  packets: readonly Packet[],
  budget: number,
): Packet | null {
  return packets.reduce<Packet | null>((best, packet) => {
    if (packet.bytes.length > budget) return best;
    return best === null || packet.bytes.length > best.bytes.length ? packet : best;
  }, null);
}

/** A range that leaves room on both sides of the lengths and holds `before`, so that the slider does not shrink under a hand. */
export function rangeAround(lengths: readonly number[], before: BudgetRange | null): BudgetRange {
  const [shortest, longest] = [Math.min(...lengths), Math.max(...lengths)];
  const step = 10 ** Math.max(0, Math.floor(Math.log10(longest)) - 2);
  const min = Math.min(before?.min ?? Infinity, Math.floor((0.6 * shortest) / step) * step);
  const max = Math.max(before?.max ?? 0, Math.ceil((1.2 * longest) / step) * step);
  return { min, max, step: before === null ? step : Math.max(step, before.step) };
}
