/*
 * The transform of src/codec/transform.ts again, four values at a time: float32, every product and every sum rounded, in the same order, so
 * that the results are the same to the last bit.
 */

/** a = a - b, `count` values; up to 3 values past the end are changed. */
export function subtract(a: usize, b: usize, count: i32): void {
  for (const end = a + (count << 2); a < end; a += 16) {
    v128.store(a, f32x4.sub(v128.load(a), v128.load(b)));
    b += 16;
  }
}

/** To the nearest integer, halves away from zero, saturating at ±2^29; NaN is 0. */
// @ts-expect-error: decorator
@inline
function quantize(sum: v128, scale: v128): v128 {
  const limit = f32x4.splat(536870912);
  const y = f32x4.max(f32x4.min(f32x4.mul(sum, scale), limit), f32x4.neg(limit));
  const whole = f32x4.trunc(y);
  const away = v128.or(v128.and(y, i32x4.splat(i32.MIN_VALUE)), f32x4.splat(1));
  const halves = f32x4.ge(f32x4.abs(f32x4.sub(y, whole)), f32x4.splat(0.5));
  return i32x4.trunc_sat_f32x4_s(f32x4.add(whole, v128.and(halves, away)));
}

// @ts-expect-error: decorator
@inline
function storeSome(out: usize, values: v128, count: i32): void {
  if (count >= 4) return v128.store(out, values);
  if (count > 0) v128.store_lane<u32>(out, values, 0);
  if (count > 1) v128.store_lane<u32>(out + 4, values, 1);
  if (count > 2) v128.store_lane<u32>(out + 8, values, 2);
}

/**
 * Integers [rows, columns] of x [rows, length] times b [length, width], `width` being `columns` rounded up to 8. Four rows by eight
 * columns at a time: eight sums stay in registers.
 */
export function analyze(x: usize, b: usize, out: usize, rows: i32, length: i32, columns: i32, by: f32): void {
  const rowBytes = length << 2;
  const width = ((columns + 7) & ~7) << 2;
  const outBytes = columns << 2;
  const scale = f32x4.splat(by);
  for (let v = 0; v < rows; v += 4) {
    // Past the last row it is done again, to the same end.
    const r1 = min(v + 1, rows - 1) - v;
    const r2 = min(v + 2, rows - 1) - v;
    const r3 = min(v + 3, rows - 1) - v;
    for (let c = 0; c < columns; c += 8) {
      let s00 = f32x4.splat(0);
      let s01 = s00;
      let s10 = s00;
      let s11 = s00;
      let s20 = s00;
      let s21 = s00;
      let s30 = s00;
      let s31 = s00;
      let q0 = x + v * rowBytes;
      let at = b + (c << 2);
      const end = q0 + rowBytes;
      const d1 = r1 * rowBytes;
      const d2 = r2 * rowBytes;
      const d3 = r3 * rowBytes;
      while (q0 < end) {
        const b0 = v128.load(at);
        const b1 = v128.load(at, 16);
        const x0 = v128.load32_splat(q0);
        s00 = f32x4.add(s00, f32x4.mul(x0, b0));
        s01 = f32x4.add(s01, f32x4.mul(x0, b1));
        const x1 = v128.load32_splat(q0 + d1);
        s10 = f32x4.add(s10, f32x4.mul(x1, b0));
        s11 = f32x4.add(s11, f32x4.mul(x1, b1));
        const x2 = v128.load32_splat(q0 + d2);
        s20 = f32x4.add(s20, f32x4.mul(x2, b0));
        s21 = f32x4.add(s21, f32x4.mul(x2, b1));
        const x3 = v128.load32_splat(q0 + d3);
        s30 = f32x4.add(s30, f32x4.mul(x3, b0));
        s31 = f32x4.add(s31, f32x4.mul(x3, b1));
        q0 += 4;
        at += width;
      }
      const o = out + v * outBytes + (c << 2);
      const left = columns - c;
      storeSome(o, quantize(s00, scale), left);
      storeSome(o + 16, quantize(s01, scale), left - 4);
      storeSome(o + r1 * outBytes, quantize(s10, scale), left);
      storeSome(o + r1 * outBytes + 16, quantize(s11, scale), left - 4);
      storeSome(o + r2 * outBytes, quantize(s20, scale), left);
      storeSome(o + r2 * outBytes + 16, quantize(s21, scale), left - 4);
      storeSome(o + r3 * outBytes, quantize(s30, scale), left);
      storeSome(o + r3 * outBytes + 16, quantize(s31, scale), left - 4);
    }
  }
}

/** NaN, which only infinities of both signs give, becomes 0. */
// @ts-ignore: decorator
@inline
function numbers(x: v128): v128 {
  return v128.and(x, f32x4.eq(x, x));
}

/**
 * out [rows, length] = mean + (integers * step) [rows, columns] times b [columns, width], `width` being `length` rounded up to 4; zeros
 * are skipped. `used` has room for 8 bytes a column.
 */
export function synthesize(
  integers: usize,
  mean: usize,
  b: usize,
  out: usize,
  rows: i32,
  length: i32,
  columns: i32,
  step: f64,
  used: usize,
): void {
  const width = ((length + 3) & ~3) << 2;
  for (let v = 0; v < rows; v++) {
    let end = used;
    for (let c = 0; c < columns; c++) {
      const integer = load<i32>(integers);
      integers += 4;
      if (integer == 0) continue;
      store<f32>(end, ((integer as f64) * step) as f32);
      store<u32>(end, (b + c * width) as u32, 4);
      end += 8;
    }
    let a = 0;
    for (; a + 16 <= length; a += 16) {
      let x0 = v128.load(mean);
      let x1 = v128.load(mean, 16);
      let x2 = v128.load(mean, 32);
      let x3 = v128.load(mean, 48);
      for (let k = used; k < end; k += 8) {
        const y = v128.load32_splat(k);
        const row = load<u32>(k, 4) + (a << 2);
        x0 = f32x4.add(x0, f32x4.mul(y, v128.load(row)));
        x1 = f32x4.add(x1, f32x4.mul(y, v128.load(row, 16)));
        x2 = f32x4.add(x2, f32x4.mul(y, v128.load(row, 32)));
        x3 = f32x4.add(x3, f32x4.mul(y, v128.load(row, 48)));
      }
      v128.store(out, numbers(x0));
      v128.store(out, numbers(x1), 16);
      v128.store(out, numbers(x2), 32);
      v128.store(out, numbers(x3), 48);
      mean += 64;
      out += 64;
    }
    for (; a < length; a += 4) {
      const count = min(4, length - a);
      let x = v128.load(mean);
      for (let k = used; k < end; k += 8) {
        x = f32x4.add(x, f32x4.mul(v128.load32_splat(k), v128.load(load<u32>(k, 4) + (a << 2))));
      }
      storeSome(out, numbers(x), count);
      mean += count << 2;
      out += count << 2;
    }
  }
}
