import type { Table } from './second-decoder-stream.ts';

/* Parametric tables for the second decoder, after docs/codec-file.md ("Parametric tables"). */

const ONE = 2n ** 96n;

function rootOf(n: bigint): bigint {
  let [low, high] = [0n, n + 1n];
  while (high - low > 1n) {
    const middle = (low + high) / 2n;
    if (middle * middle <= n) low = middle;
    else high = middle;
  }
  return low;
}

function inverseOf(s: bigint): bigint {
  let R = ONE / 2n ** (s % 8n);
  for (let i = 0; i < 3; i++) R = rootOf(R * ONE);
  const o = s / 8n - 4n;
  return o >= 0n ? R / 2n ** o : R * 2n ** -o;
}

function exp(X: bigint): bigint {
  let k = 0n;
  while (X / 2n ** k >= 2n ** 94n) k++;
  const z = (X * 2n ** 32n) / 2n ** k;
  const u = 2n ** 128n;
  let sum = u;
  for (let n = 1n, term = u; ; n++) {
    // Division of BigInt rounds towards zero.
    term = -(term * z) / (u * n);
    if (term === 0n) break;
    sum += term;
  }
  for (; k > 0n; k--) sum = (sum * sum) / u;
  return sum / 2n ** 32n;
}

function tailsOf(shape: number, s: bigint): bigint[] {
  return shape === 1 ? gaussian(inverseOf(s)) : exponential(shape, inverseOf(s));
}

function exponential(shape: number, inverse: bigint): bigint[] {
  const H = exp(inverse / 2n);
  const W = (H * H) / ONE;
  const tails: bigint[] = [];
  for (let P = H; ; P = (P * W) / ONE) {
    tails.push(shape === 0 ? P / 2n : (P * ONE) / (ONE + P));
    if (tails[tails.length - 1] < 2n ** 59n) return tails;
  }
}

function gaussian(inverse: bigint): bigint[] {
  const n = 2n * (inverse / 2n ** 93n + 1n);
  const H = inverse / (2n * n);
  const S = exp((H * H) / ONE);
  let Q = exp((H * H) / ONE / 2n);
  let D = ONE;
  const areas: bigint[] = [];
  while (areas.length === 0 || areas[areas.length - 1] >= 2n ** 36n) {
    const count = areas.length === 0 ? n : 2n * n;
    let area = D;
    for (let i = 1n; i <= count; i++) {
      D = (D * Q) / ONE;
      Q = (Q * S) / ONE;
      area += i === count ? D : i % 2n === 1n ? 4n * D : 2n * D;
    }
    areas.push(area);
  }
  const total = areas.reduce((a, b) => a + b);
  let left = total;
  return areas.map((area) => {
    left -= area;
    return (left * ONE) / (2n * total);
  });
}

const known = new Map<string, Table>();

export function parametricTable(shape: number, s: bigint, precision: bigint): Table {
  const name = `${shape} ${s} ${precision}`;
  const table = known.get(name) ?? newTable(shape, s, precision);
  known.set(name, table);
  return table;
}

function newTable(shape: number, s: bigint, precision: bigint): Table {
  const round = (X: bigint) => (X + 2n ** 59n) / 2n ** 60n;
  const tails = tailsOf(shape, s);
  const t = tails.map(round);
  const w = tails.map((tail, k) => round(k === 0 ? ONE - 2n * tail : tails[k - 1] - tail));
  let r = 0;
  while (
    BigInt(r) < 2n ** (precision - 3n) - 1n &&
    r + 1 < w.length &&
    7n * w[r + 1] * 2n ** (precision + 1n) > 3n * 2n ** 36n
  )
    r++;
  const share = [...w.slice(1, r + 1).reverse(), ...w.slice(0, r + 1), 2n * t[r]];
  const total = share.reduce((a, b) => a + b);
  const frequencies = share.map((each) => {
    const f = (each * 2n ** precision) / total;
    return f > 1n ? f : 1n;
  });
  for (;;) {
    const over = frequencies.reduce((a, b) => a + b) - 2n ** precision;
    if (over === 0n) return { low: BigInt(-r), frequencies };
    let best = -1;
    for (const [i, f] of frequencies.entries()) {
      if (over > 0n && f === 1n) continue;
      const [a, b] = [share[i], best < 0 ? 0n : share[best]];
      const g = best < 0 ? 0n : frequencies[best];
      const better = over < 0n ? a * (2n * g + 1n) > b * (2n * f + 1n) : a * (2n * g - 1n) < b * (2n * f - 1n);
      if (best < 0 || better) best = i;
    }
    frequencies[best] += over < 0n ? 1n : -1n;
  }
}
