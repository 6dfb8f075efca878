/** Values past this are counted as outside: no table could hold them. */
const REACH = 4096;
/** Weight of the smooth prior, in values: matters where few values were seen, vanishes where many were. */
const PRIOR = 4;

/** Counts of integers, in an array that grows around zero. */
export class Histogram {
  /** Smallest and largest value counted, 0 and 0 while empty; within ±4096. */
  low = 0;
  high = 0;
  /** Values added, those past ±4096 too. */
  total = 0;
  #counts = new Uint32Array(16);
  #origin = 8;
  #magnitude = 0;

  add(value: number): void {
    this.total++;
    if (value < -REACH || value > REACH) return;
    if (value < this.low) this.low = value;
    if (value > this.high) this.high = value;
    this.#magnitude += Math.abs(value);
    const at = this.#origin + value;
    if (at < 0 || at >= this.#counts.length) this.#grow(Math.abs(value));
    this.#counts[this.#origin + value]++;
  }

  count(value: number): number {
    return this.#counts[this.#origin + value] ?? 0;
  }

  /** The count, with a two-sided geometric distribution of the same mean magnitude as a prior worth a few values. */
  smoothed(value: number): number {
    const mean = (this.#magnitude + 0.5) / (this.total + 1);
    // sum of |v| theta^|v| over sum of theta^|v| is 2 theta / (1 - theta^2); solved for theta
    const theta = (Math.sqrt(1 + mean * mean) - 1) / mean;
    return this.count(value) + (PRIOR * (1 - theta) * theta ** Math.abs(value)) / (1 + theta);
  }

  #grow(reach: number): void {
    const origin = 2 * reach;
    const counts = new Uint32Array(2 * origin + 1);
    counts.set(this.#counts, origin - this.#origin);
    this.#counts = counts;
    this.#origin = origin;
  }
}
