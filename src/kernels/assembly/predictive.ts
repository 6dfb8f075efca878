/*
 * The predictive model of src/entropy/predictive.ts again: what neighbours in earlier vectors say is worked out for four components at a
 * time, then the values are coded one after the other. The layout of a model's image is written by src/entropy/predictive-image.ts:
 *
 *   model     u32 terms, u32 components, u32 width (components rounded up to 4), u32 offset of the bank's image, u32 back[8]; from
 *             byte 48 on i32[width] each: bias, weight of the sum, and for each term mean, magnitude's weight, surprise's weight
 */
import { faultRange, find, LOW, MOST, popEscape, push, pushEscape, seek, STATES, where } from './rans';

const CAP: i32 = 4095;
const MAGNITUDE_CAP: i32 = 240;
const SUM_CAP: i32 = 0xffff;
const HALF: i32 = 1 << 11;
const PHASES: i32 = 6;
const LEVELS: i32 = 64;
const WEIGHTS: usize = 48;

/**
 * Of vector `v`, for each component: centre, spread without the sum, nearest integer, -1 where mirrored, phase; i32[width] each, one after
 * the other at `known`. Rows of `near` (i16) and `surprise` (i16) are `width` long; `back` rows before the first are zeros.
 */
function predict(model: usize, near: usize, surprise: usize, v: i32, known: usize): void {
  const terms = load<u32>(model);
  const width = load<u32>(model, 8);
  const row = width << 2;
  const weights = model + WEIGHTS;
  for (let c: u32 = 0; c < width; c += 4) {
    const at = weights + (c << 2);
    let centre = i32x4.splat(0);
    let spread = v128.load(at);
    for (let k: u32 = 0; k < terms; k++) {
      const from = (v - load<i32>(model + (k << 2), 16)) * width + c;
      const weight = at + (2 + 3 * k) * row;
      const value = v128.load_ext<i16>(near + (from << 1));
      const magnitude = i32x4.min_s(i32x4.shl(i32x4.abs(value), 4), i32x4.splat(MAGNITUDE_CAP));
      centre = i32x4.add(centre, i32x4.mul(value, v128.load(weight)));
      spread = i32x4.add(spread, i32x4.mul(magnitude, v128.load(weight + row)));
      spread = i32x4.add(spread, i32x4.mul(v128.load_ext<i16>(surprise + (from << 1)), v128.load(weight + 2 * row)));
    }
    const nearest = i32x4.shr_s(i32x4.add(centre, i32x4.splat(HALF)), 12);
    const offset = i32x4.sub(centre, i32x4.shl(nearest, 12));
    const distance = i32x4.abs(offset);
    let phase = i32x4.ge_s(distance, i32x4.splat(82));
    phase = i32x4.add(phase, i32x4.ge_s(distance, i32x4.splat(205)));
    phase = i32x4.add(phase, i32x4.ge_s(distance, i32x4.splat(410)));
    phase = i32x4.add(phase, i32x4.ge_s(distance, i32x4.splat(737)));
    phase = i32x4.add(phase, i32x4.ge_s(distance, i32x4.splat(1311)));
    const out = known + (c << 2);
    v128.store(out, centre);
    v128.store(out + row, spread);
    v128.store(out + 2 * row, nearest);
    v128.store(out + 3 * row, i32x4.shr_s(offset, 31));
    v128.store(out + 4 * row, i32x4.neg(phase));
  }
}

/** Number of the table of a component, given the surprises so far in its vector. */
// @ts-ignore: decorator
@inline
function tableOf(weights: usize, known: usize, row: usize, sum: i32): i32 {
  const spread = load<i32>(known + row) + (((sum * load<i32>(weights + row)) as u32) >>> 4);
  const octave = 31 - clz(spread);
  const level = octave < 5 ? 0 : min(LEVELS - 1, 4 * (octave - 5) + ((spread >>> (octave - 2)) & 3));
  return level * PHASES + load<i32>(known + 4 * row);
}

/** How far a value was from its mean; the value is noted for those that come. */
// @ts-ignore: decorator
@inline
function learn(known: usize, near: usize, surprise: usize, value: i32): i32 {
  const capped = max(-CAP, min(CAP, value));
  const distance = min(MAGNITUDE_CAP, abs((capped << 12) - load<i32>(known)) >> 8);
  store<i16>(near, capped as i16);
  store<i16>(surprise, distance as i16);
  return distance;
}

/** `near` and `surprise` point past the zeros before the first vector; `known` has room for 5 rows. */
export function decodePredictive(
  model: usize,
  vectors: i32,
  out: usize,
  near: usize,
  surprise: usize,
  known: usize,
): void {
  const components = load<i32>(model, 4);
  const width = load<u32>(model, 8);
  const row = width << 2;
  const bank = model + load<u32>(model, 12);
  const p = load<i32>(bank);
  const mask = (1 << p) - 1;
  let x = load<i32>(STATES);
  let ptr = where();
  for (let v = 0; v < vectors; v++) {
    predict(model, near, surprise, v, known);
    let sum = 0;
    const first = v * width;
    for (let c = 0; c < components; c++) {
      const here = known + (c << 2);
      const record = bank + 16 + 48 * tableOf(model + WEIGHTS + (c << 2), here, row, sum);
      const slot = x & mask;
      const within = slot - load<i32>(record, 12);
      const likely = load<i32>(record, 16);
      let folded: i32;
      if ((within as u32) < (likely as u32)) {
        x = likely * (x >>> p) + within;
        folded = load<i32>(record, 20);
        if (x < LOW) {
          x = (x << 16) | (load<u16>(ptr) as i32);
          ptr += 2;
        }
      } else {
        const symbol = find(bank, record, slot, p);
        const e = load<u32>(bank + load<u32>(record, 24) + (symbol << 4), 8);
        x = ((e & 0xffff) as i32) * (x >>> p) + slot - ((e >>> 16) as i32);
        if (x < LOW) {
          x = (x << 16) | (load<u16>(ptr) as i32);
          ptr += 2;
        }
        const low = load<i32>(record, 4);
        const last = load<i32>(record, 8) - 1;
        folded = low + symbol;
        if (symbol == last) {
          store<i32>(STATES, x);
          seek(ptr);
          folded = popEscape(STATES, low, last, 2 * MOST);
          ptr = where();
          x = load<i32>(STATES);
        }
      }
      const mirror = load<i32>(here + 3 * row);
      const value = load<i32>(here + 2 * row) + ((folded ^ mirror) - mirror);
      if (value > MOST || value < -MOST) faultRange();
      const at = (first + c) << 1;
      sum = min(SUM_CAP, sum + learn(here, near + at, surprise + at, value));
      store<i32>(out, value);
      out += 4;
    }
  }
  store<i32>(STATES, x);
  seek(ptr);
}

/**
 * The inverse. The values at `from` become what is coded, each its distance from its mean; `tables` (u16) has room for the number
 * of the table of each.
 */
export function encodePredictive(
  model: usize,
  vectors: i32,
  from: usize,
  near: usize,
  surprise: usize,
  known: usize,
  tables: usize,
): void {
  const components = load<i32>(model, 4);
  const width = load<u32>(model, 8);
  const row = width << 2;
  const bank = model + load<u32>(model, 12);
  const p = load<i32>(bank);
  let at = from;
  let table = tables;
  for (let v = 0; v < vectors; v++) {
    predict(model, near, surprise, v, known);
    let sum = 0;
    const first = v * width;
    for (let c = 0; c < components; c++) {
      const here = known + (c << 2);
      store<u16>(table, tableOf(model + WEIGHTS + (c << 2), here, row, sum) as u16);
      const value = load<i32>(at);
      const mirror = load<i32>(here + 3 * row);
      const distance = value - load<i32>(here + 2 * row);
      store<i32>(at, (distance ^ mirror) - mirror);
      const note = (first + c) << 1;
      sum = min(SUM_CAP, sum + learn(here, near + note, surprise + note, value));
      at += 4;
      table += 2;
    }
  }
  let x = load<i32>(STATES);
  while (at > from) {
    at -= 4;
    table -= 2;
    const record = bank + 16 + 48 * (load<u16>(table) as i32);
    const value = load<i32>(at);
    const low = load<i32>(record, 4);
    const last = (load<i32>(record, 8) - 1) as u32;
    const symbol = min<u32>(value - low, last);
    if (symbol == last) {
      store<i32>(STATES, x);
      pushEscape(STATES, value, low, last);
      x = load<i32>(STATES);
    }
    x = push(x, bank + load<u32>(record, 24) + (symbol << 4), p);
  }
  store<i32>(STATES, x);
}
