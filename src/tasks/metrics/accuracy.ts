import type { Metric } from '../task.ts';
import { meanMetric } from './mean.ts';

/** Share of pictures whose true class is among the answer's first `k`; `top` is in falling order of probability. */
export function topAccuracy(k: number): Metric<{ readonly top: readonly { readonly index: number }[] }, number> {
  return meanMetric(`top${k}`, ({ top }, label) => (top.slice(0, k).some(({ index }) => index === label) ? 1 : 0));
}
