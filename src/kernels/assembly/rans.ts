/*
 * The rANS coder of src/entropy/plain.ts again, for 32 lanes at a time; docs/packet.md says what it computes and why the bytes
 * are the same. The layout of a bank's image is written by src/entropy/image.ts:
 *
 *   bank      u32 precision, u32 tables, 8 bytes free, then a record of 48 bytes a table
 *   record    i32 kind, low, n, start, frequency and value of the likeliest symbol, offsets (from the bank) of the
 *             symbols, the buckets and what the kind needs
 *   symbols   16 bytes each: u64 ceil(2^(31 + p) / f), u32 start << 16 | f, 4 bytes free
 *   buckets   u16[256]: the first symbol that reaches into each 256th of the slots
 *   SMALL     16 bytes each: low and high bytes of the starts, low and high bytes of the frequencies; then, for
 *             each symbol but the first, its start - 1 as i16[8]
 *   SLOTS     u32[2^12]: symbol << 24 | f << 12 | slot - start
 *
 * Memory below 4096: the states, and two tables that move 16-bit words between a stream and the lanes that want one.
 */
export const STATES: usize = 0;
const RENORM: usize = 1024;
const PACK: usize = 1536;
export const LOW: i32 = 1 << 15;
const LANES: i32 = 32;
/** Largest magnitude of a value. */
export const MOST: i32 = 1 << 29;

const SMALL: i32 = 1;
const SPARSE: i32 = 2;
const SLOTS: i32 = 3;

/** Decoding: where the next word stands. Encoding: where the last one was put; words go downwards. */
let position: usize = 0;
/** What a stream did that no encoder does: 1 an escape of more than 30 digits, 2 an escaped value out of range. */
let fault: i32 = 0;

for (let mask = 0; mask < 16; mask++) {
  const renorm = RENORM + (mask << 5);
  const pack = PACK + (mask << 4);
  // Bytes that no lane wants come from index 255, which a swizzle turns into 0.
  v128.store(renorm, i32x4.splat(-1));
  let word = 0;
  let packed = 8 - 2 * popcnt(mask);
  for (let lane = 0; lane < 4; lane++) {
    const takes = (mask & (1 << lane)) != 0;
    if (takes) {
      store<u16>(renorm + 4 * lane, (((word + 1) << 8) | word) as u16);
      store<u16>(pack + packed, (((4 * lane + 1) << 8) | (4 * lane)) as u16);
      word += 2;
      packed += 2;
    }
    store<i32>(renorm + 16 + 4 * lane, takes ? 1 << 16 : 1);
  }
}

export function begin(at: usize): void {
  position = at;
  fault = 0;
}

export function where(): usize {
  return position;
}

/** The position moves, faults stay. */
export function seek(at: usize): void {
  position = at;
}

/** A value that a stream cannot hold. */
export function faultRange(): void {
  fault = 2;
}

export function faultOf(): i32 {
  return fault;
}

// ---------------------------------------------------------------------------------------------------------- one lane

function pushRaw(lane: usize, value: i32, bits: i32): void {
  let x = load<i32>(lane);
  if (x >>> (31 - bits) != 0) {
    position -= 2;
    store<u16>(position, x as u16);
    x >>>= 16;
  }
  store<i32>(lane, (x << bits) + value);
}

function popRaw(lane: usize, bits: i32): i32 {
  let x = load<i32>(lane);
  const value = x & ((1 << bits) - 1);
  x >>>= bits;
  if (x < LOW) {
    x = (x << 16) | (load<u16>(position) as i32);
    position += 2;
  }
  store<i32>(lane, x);
  return value;
}

export function pushEscape(lane: usize, value: i32, low: i32, symbols: i32): void {
  const below = value < low;
  const distance = (below ? low - 1 - value : value - low - symbols) + 1;
  const digits = 31 - clz(distance);
  const rest = distance ^ (1 << digits);
  if (digits > 15) pushRaw(lane, rest >>> 15, digits - 15);
  if (digits > 0) pushRaw(lane, rest & 0x7fff, min(digits, 15));
  pushRaw(lane, digits, 5);
  pushRaw(lane, below ? 1 : 0, 1);
}

/** `most` bounds the value's magnitude. */
export function popEscape(lane: usize, low: i32, symbols: i32, most: i32): i32 {
  const below = popRaw(lane, 1);
  const digits = popRaw(lane, 5);
  if (digits > 30) {
    fault = 1;
    return 0;
  }
  let rest = digits > 0 ? popRaw(lane, min(digits, 15)) : 0;
  if (digits > 15) rest |= popRaw(lane, digits - 15) << 15;
  const distance = ((1 << digits) | rest) - 1;
  const value = below ? (low as i64) - 1 - distance : (low as i64) + symbols + distance;
  if (value > most || value < -most) {
    fault = 2;
    return 0;
  }
  return value as i32;
}

/** Takes the symbol off the state `x` and gives its number; the new state is left in `popped`, not yet renormalized. */
const popped: i32 = 0;

// @ts-expect-error: decorator
@inline
export function find(bank: usize, record: usize, slot: i32, p: i32): i32 {
  let at = load<u16>(bank + load<u32>(record, 28) + ((slot >> (p - 8)) << 1)) as i32;
  const symbols = bank + load<u32>(record, 24);
  const last = load<i32>(record, 8) - 1;
  while (at < last && (load<u16>(symbols + ((at + 1) << 4), 10) as i32) <= slot) at++;
  return at;
}

/** One symbol of each of `active` lanes, `stride` bytes between their values; then the escapes among them. */
function decodeLanes(bank: usize, record: usize, active: i32, out: usize, stride: usize): void {
  const p = load<i32>(bank);
  const low = load<i32>(record, 4);
  const last = load<i32>(record, 8) - 1;
  const symbols = bank + load<u32>(record, 24);
  const mask = (1 << p) - 1;
  let escaped = 0;
  let ptr = position;
  for (let lane = 0; lane < active; lane++) {
    const state = STATES + (lane << 2);
    const x = load<i32>(state);
    const slot = x & mask;
    const at = find(bank, record, slot, p);
    const e = load<u32>(symbols + (at << 4), 8);
    let y = ((e & 0xffff) as i32) * (x >>> p) + slot - ((e >>> 16) as i32);
    if (y < LOW) {
      y = (y << 16) | (load<u16>(ptr) as i32);
      ptr += 2;
    }
    store<i32>(state, y);
    store<i32>(out + lane * stride, low + at);
    if (at == last) escaped |= 1 << lane;
  }
  position = ptr;
  for (; escaped != 0; escaped &= escaped - 1) {
    const lane = ctz(escaped);
    store<i32>(out + lane * stride, popEscape(STATES + (lane << 2), low, last, MOST));
  }
}

/** The inverse: the escapes last to first, then the symbols last to first. */
function encodeLanes(bank: usize, record: usize, active: i32, from: usize, stride: usize): void {
  const p = load<i32>(bank);
  const low = load<i32>(record, 4);
  const last = load<i32>(record, 8) - 1;
  const symbols = bank + load<u32>(record, 24);
  for (let lane = active - 1; lane >= 0; lane--) {
    const value = load<i32>(from + lane * stride);
    if ((value - low) as u32 >= (last as u32)) pushEscape(STATES + (lane << 2), value, low, last);
  }
  for (let lane = active - 1; lane >= 0; lane--) {
    const state = STATES + (lane << 2);
    const at = min<u32>(load<i32>(from + lane * stride) - low, last);
    store<i32>(state, push(load<i32>(state), symbols + (at << 4), p));
  }
}

// @ts-expect-error: decorator
@inline
export function push(x: i32, symbol: usize, p: i32): i32 {
  const e = load<u32>(symbol, 8);
  const f = (e & 0xffff) as i32;
  if (x >>> (31 - p) >= f) {
    position -= 2;
    store<u16>(position, x as u16);
    x >>>= 16;
  }
  const q = (((x as u64) * load<u64>(symbol)) >> (31 + p)) as i32;
  // q * 2^p + (x - q * f) + start
  return x + ((e >>> 16) as i32) + q * ((1 << p) - f);
}

/** `vectors` of one lane after the other, a table a component. */
export function decodeSerial(bank: usize, components: i32, vectors: i32, out: usize): void {
  const p = load<i32>(bank);
  const mask = (1 << p) - 1;
  const first = bank + 16;
  const end = first + 48 * components;
  let x = load<i32>(STATES);
  let ptr = position;
  for (; vectors > 0; vectors--) {
    for (let record = first; record < end; record += 48) {
      const slot = x & mask;
      const within = slot - load<i32>(record, 12);
      const likely = load<i32>(record, 16);
      if ((within as u32) < (likely as u32)) {
        x = likely * (x >>> p) + within;
        if (x < LOW) {
          x = (x << 16) | (load<u16>(ptr) as i32);
          ptr += 2;
        }
        store<i32>(out, load<i32>(record, 20));
      } else {
        const at = find(bank, record, slot, p);
        const e = load<u32>(bank + load<u32>(record, 24) + (at << 4), 8);
        x = ((e & 0xffff) as i32) * (x >>> p) + slot - ((e >>> 16) as i32);
        if (x < LOW) {
          x = (x << 16) | (load<u16>(ptr) as i32);
          ptr += 2;
        }
        const last = load<i32>(record, 8) - 1;
        if (at < last) {
          store<i32>(out, load<i32>(record, 4) + at);
        } else {
          store<i32>(STATES, x);
          position = ptr;
          store<i32>(out, popEscape(STATES, load<i32>(record, 4), last, MOST));
          ptr = position;
          x = load<i32>(STATES);
        }
      }
      out += 4;
    }
  }
  store<i32>(STATES, x);
  position = ptr;
}

/** The inverse; `from` is where the first value stands. */
export function encodeSerial(bank: usize, components: i32, vectors: i32, from: usize): void {
  const p = load<i32>(bank);
  const first = bank + 16;
  let x = load<i32>(STATES);
  let at = from + 4 * vectors * components;
  while (at > from) {
    for (let record = first + 48 * (components - 1); record >= first; record -= 48) {
      at -= 4;
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
  }
  store<i32>(STATES, x);
}

// --------------------------------------------------------------------------------------------------------- 32 lanes

/** `groups` of 32 vectors; `block` has room for 32 values of each component. */
export function decodeGroups(bank: usize, components: i32, groups: i32, out: usize, block: usize): void {
  if (components == 1) return decodeSteps(bank, bank + 16, out, groups);
  for (; groups > 0; groups--) {
    for (let c = 0; c < components; c++) decodeSteps(bank, bank + 16 + 48 * c, block + (c << 7), 1);
    for (let lane = 0; lane < LANES; lane++) {
      for (let c = 0; c < components; c++) {
        store<i32>(out, load<i32>(block + (c << 7) + (lane << 2)));
        out += 4;
      }
    }
  }
}

export function encodeGroups(bank: usize, components: i32, groups: i32, from: usize, block: usize): void {
  if (components == 1) return encodeSteps(bank, bank + 16, from, groups);
  for (groups--; groups >= 0; groups--) {
    let at = from + ((groups * components) << 7);
    for (let lane = 0; lane < LANES; lane++) {
      for (let c = 0; c < components; c++) {
        store<i32>(block + (c << 7) + (lane << 2), load<i32>(at));
        at += 4;
      }
    }
    for (let c = components - 1; c >= 0; c--) encodeSteps(bank, bank + 16 + 48 * c, block + (c << 7), 1);
  }
}

/** The last vectors, fewer than 32: as many lanes. */
export function decodeRest(bank: usize, components: i32, vectors: i32, out: usize): void {
  for (let c = 0; c < components; c++) {
    decodeLanes(bank, bank + 16 + 48 * c, vectors, out + (c << 2), components << 2);
  }
}

export function encodeRest(bank: usize, components: i32, vectors: i32, from: usize): void {
  for (let c = components - 1; c >= 0; c--) {
    encodeLanes(bank, bank + 16 + 48 * c, vectors, from + (c << 2), components << 2);
  }
}

/** `steps` times 32 values of one table. */
function decodeSteps(bank: usize, record: usize, out: usize, steps: i32): void {
  const kind = load<i32>(record);
  if (kind == SPARSE) small(bank, record, out, steps, true);
  else if (kind == SMALL) small(bank, record, out, steps, false);
  else if (kind == SLOTS) slots(bank, record, out, steps);
  else {
    for (; steps > 0; steps--) {
      decodeLanes(bank, record, LANES, out, 4);
      out += 128;
    }
  }
}

// @ts-expect-error: decorator
@inline
function renormalize(x: v128, mask: i32, ptr: usize): v128 {
  const words = i8x16.swizzle(v128.load_zero<u64>(ptr), v128.load(RENORM + (mask << 5)));
  return i32x4.add(i32x4.mul(x, v128.load(RENORM + (mask << 5), 16)), words);
}

/** The escapes among 32 values just decoded, which stand there as `escape`. */
function popEscapes(out: usize, escape: i32, low: i32, symbols: i32): void {
  for (let lane = 0; lane < LANES; lane++) {
    if (load<i32>(out + (lane << 2)) == escape) {
      store<i32>(out + (lane << 2), popEscape(STATES + (lane << 2), low, symbols, MOST));
    }
  }
}

/**
 * At most 16 symbols: a slot's symbol is the number of starts at or below it, counted 8 lanes at a time, and starts and
 * frequencies are looked up 16 lanes at a time within registers. `sparse`: where all of 16 lanes hold the likeliest symbol
 * (tried first), its start and frequency are constants.
 */
// @ts-expect-error: decorator
@inline
function small(bank: usize, record: usize, out: usize, steps: i32, sparse: bool): void {
  const p = load<i32>(bank);
  const low = load<i32>(record, 4);
  const n = load<i32>(record, 8);
  const data = bank + load<u32>(record, 32);
  const slotMask = i32x4.splat((1 << p) - 1);
  const least = i32x4.splat(LOW);
  const lows = i32x4.splat(low);
  const escape = i16x8.splat((n - 1) as i16);
  const startLow = v128.load(data);
  const startHigh = v128.load(data, 16);
  const frequencyLow = v128.load(data, 32);
  const frequencyHigh = v128.load(data, 48);
  const limits = data + 64;
  const limitsEnd = limits + ((n - 1) << 4);
  const likelyStart = v128.load32_splat(record + 12);
  const likelyFrequency = v128.load32_splat(record + 16);
  const likelyValue = v128.load32_splat(record + 20);
  const likelyStart16 = i16x8.narrow_i32x4_s(likelyStart, likelyStart);
  const likelyFrequency16 = i16x8.narrow_i32x4_s(likelyFrequency, likelyFrequency);
  let ptr = position;
  const end = out + (steps << 7);
  let states = STATES;
  let escapes = 0;
  while (out < end) {
    const x0 = v128.load(states);
    const x1 = v128.load(states, 16);
    const x2 = v128.load(states, 32);
    const x3 = v128.load(states, 48);
    const s0 = v128.and(x0, slotMask);
    const s1 = v128.and(x1, slotMask);
    const s2 = v128.and(x2, slotMask);
    const s3 = v128.and(x3, slotMask);
    const h0 = i16x8.narrow_i32x4_s(s0, s1);
    const h1 = i16x8.narrow_i32x4_s(s2, s3);
    let y0: v128;
    let y1: v128;
    let y2: v128;
    let y3: v128;
    if (
      sparse &&
      !v128.any_true(
        v128.or(
          i16x8.ge_u(i16x8.sub(h0, likelyStart16), likelyFrequency16),
          i16x8.ge_u(i16x8.sub(h1, likelyStart16), likelyFrequency16),
        ),
      )
    ) {
      y0 = i32x4.add(i32x4.mul(i32x4.shr_u(x0, p), likelyFrequency), i32x4.sub(s0, likelyStart));
      y1 = i32x4.add(i32x4.mul(i32x4.shr_u(x1, p), likelyFrequency), i32x4.sub(s1, likelyStart));
      y2 = i32x4.add(i32x4.mul(i32x4.shr_u(x2, p), likelyFrequency), i32x4.sub(s2, likelyStart));
      y3 = i32x4.add(i32x4.mul(i32x4.shr_u(x3, p), likelyFrequency), i32x4.sub(s3, likelyStart));
      v128.store(out, likelyValue);
      v128.store(out, likelyValue, 16);
      v128.store(out, likelyValue, 32);
      v128.store(out, likelyValue, 48);
    } else {
      let i0 = i16x8.splat(0);
      let i1 = i16x8.splat(0);
      for (let limit = limits; limit < limitsEnd; limit += 16) {
        i0 = i16x8.sub(i0, i16x8.gt_s(h0, v128.load(limit)));
        i1 = i16x8.sub(i1, i16x8.gt_s(h1, v128.load(limit)));
      }
      const symbol = i8x16.narrow_i16x8_s(i0, i1);
      const sl = i8x16.swizzle(startLow, symbol);
      const sh = i8x16.swizzle(startHigh, symbol);
      const fl = i8x16.swizzle(frequencyLow, symbol);
      const fh = i8x16.swizzle(frequencyHigh, symbol);
      const b0 = i16x8.sub(h0, i8x16.shuffle(sl, sh, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
      const b1 = i16x8.sub(h1, i8x16.shuffle(sl, sh, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
      const f0 = i8x16.shuffle(fl, fh, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      const f1 = i8x16.shuffle(fl, fh, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
      y0 = advance(i32x4.shr_u(x0, p), i32x4.extend_low_i16x8_u(f0), i32x4.extend_low_i16x8_u(b0));
      y1 = advance(i32x4.shr_u(x1, p), i32x4.extend_high_i16x8_u(f0), i32x4.extend_high_i16x8_u(b0));
      y2 = advance(i32x4.shr_u(x2, p), i32x4.extend_low_i16x8_u(f1), i32x4.extend_low_i16x8_u(b1));
      y3 = advance(i32x4.shr_u(x3, p), i32x4.extend_high_i16x8_u(f1), i32x4.extend_high_i16x8_u(b1));
      v128.store(out, i32x4.add(lows, i32x4.extend_low_i16x8_s(i0)));
      v128.store(out, i32x4.add(lows, i32x4.extend_high_i16x8_s(i0)), 16);
      v128.store(out, i32x4.add(lows, i32x4.extend_low_i16x8_s(i1)), 32);
      v128.store(out, i32x4.add(lows, i32x4.extend_high_i16x8_s(i1)), 48);
      escapes |= v128.any_true(v128.or(i16x8.eq(i0, escape), i16x8.eq(i1, escape))) as i32;
    }
    const l0 = i32x4.lt_s(y0, least);
    const l1 = i32x4.lt_s(y1, least);
    const l2 = i32x4.lt_s(y2, least);
    const l3 = i32x4.lt_s(y3, least);
    if (!sparse || v128.any_true(v128.or(v128.or(l0, l1), v128.or(l2, l3)))) {
      const m0 = i32x4.bitmask(l0);
      const m1 = i32x4.bitmask(l1);
      const m2 = i32x4.bitmask(l2);
      const m3 = i32x4.bitmask(l3);
      y0 = renormalize(y0, m0, ptr);
      ptr += popcnt(m0) << 1;
      y1 = renormalize(y1, m1, ptr);
      ptr += popcnt(m1) << 1;
      y2 = renormalize(y2, m2, ptr);
      ptr += popcnt(m2) << 1;
      y3 = renormalize(y3, m3, ptr);
      ptr += popcnt(m3) << 1;
    }
    v128.store(states, y0);
    v128.store(states, y1, 16);
    v128.store(states, y2, 32);
    v128.store(states, y3, 48);
    out += 64;
    if (states != STATES && escapes) {
      position = ptr;
      popEscapes(out - 128, low + n - 1, low, n - 1);
      ptr = position;
      escapes = 0;
    }
    states ^= 64;
  }
  position = ptr;
}

// @ts-expect-error: decorator
@inline
function advance(high: v128, frequency: v128, bias: v128): v128 {
  return i32x4.add(i32x4.mul(high, frequency), bias);
}

// @ts-expect-error: decorator
@inline
function gather(at: usize, index: v128): v128 {
  let e = v128.load_zero<u32>(at + i32x4.extract_lane(index, 0));
  e = v128.load_lane<u32>(at + i32x4.extract_lane(index, 1), e, 1);
  e = v128.load_lane<u32>(at + i32x4.extract_lane(index, 2), e, 2);
  return v128.load_lane<u32>(at + i32x4.extract_lane(index, 3), e, 3);
}

/** Precision 12 and at most 256 symbols: all of a slot in one word. */
function slots(bank: usize, record: usize, out: usize, steps: i32): void {
  const data = bank + load<u32>(record, 32);
  const low = load<i32>(record, 4);
  const last = load<i32>(record, 8) - 1;
  const lows = i32x4.splat(low);
  const escape = i32x4.splat(last);
  const twelve = i32x4.splat(4095);
  const least = i32x4.splat(LOW);
  let ptr = position;
  for (; steps > 0; steps--) {
    let escaped = i32x4.splat(0);
    for (let states = STATES; states < STATES + 128; states += 32) {
      const x0 = v128.load(states);
      const x1 = v128.load(states, 16);
      const e0 = gather(data, i32x4.shl(v128.and(x0, twelve), 2));
      const e1 = gather(data, i32x4.shl(v128.and(x1, twelve), 2));
      const y0 = advance(i32x4.shr_u(x0, 12), v128.and(i32x4.shr_u(e0, 12), twelve), v128.and(e0, twelve));
      const y1 = advance(i32x4.shr_u(x1, 12), v128.and(i32x4.shr_u(e1, 12), twelve), v128.and(e1, twelve));
      const m0 = i32x4.bitmask(i32x4.lt_s(y0, least));
      const m1 = i32x4.bitmask(i32x4.lt_s(y1, least));
      v128.store(states, renormalize(y0, m0, ptr));
      ptr += popcnt(m0) << 1;
      v128.store(states, renormalize(y1, m1, ptr), 16);
      ptr += popcnt(m1) << 1;
      const i0 = i32x4.shr_u(e0, 24);
      const i1 = i32x4.shr_u(e1, 24);
      v128.store(out, i32x4.add(lows, i0));
      v128.store(out, i32x4.add(lows, i1), 16);
      escaped = v128.or(escaped, v128.or(i32x4.eq(i0, escape), i32x4.eq(i1, escape)));
      out += 32;
    }
    if (v128.any_true(escaped)) {
      position = ptr;
      popEscapes(out - 128, low + last, low, last);
      ptr = position;
    }
  }
  position = ptr;
}

/**
 * The inverse of {@link decodeSteps}. floor(x / f) is worked out in float32: x / f is less than 2^(31 - p) <= 2^19, so two roundings
 * put the quotient within 1/16 of it, and adding 2^23 rounds that to an integer which is the floor or one above.
 */
function encodeSteps(bank: usize, record: usize, from: usize, steps: i32): void {
  if (load<i32>(bank) < 12) {
    for (steps--; steps >= 0; steps--) encodeLanes(bank, record, LANES, from + (steps << 7), 4);
    return;
  }
  const p = load<i32>(bank);
  const low = load<i32>(record, 4);
  const n = load<i32>(record, 8);
  const symbols = bank + load<u32>(record, 24) + 8;
  const lows = i32x4.splat(low);
  const last = i32x4.splat(n - 1);
  const half = i32x4.splat(0xffff);
  const magic = f32x4.splat(8388608);
  const magicBits = i32x4.splat(0x4b000000);
  const sparse = load<i32>(record) == SPARSE;
  const likelyStart = v128.load32_splat(record + 12);
  const likelyFrequency = v128.load32_splat(record + 16);
  const likelyValue = v128.load32_splat(record + 20);
  const likelyFull = i32x4.shl(likelyFrequency, 31 - p);
  const likelyGap = i32x4.sub(i32x4.splat(1 << p), likelyFrequency);
  const likelyReciprocal = f32x4.div(f32x4.splat(1), f32x4.convert_i32x4_s(likelyFrequency));
  let ptr = position;
  let at = from + (steps << 7);
  while (at > from) {
    const begin = at - 128;
    let outside = i32x4.splat(0);
    for (let k = begin; k < at; k += 16) {
      outside = v128.or(outside, i32x4.ge_u(i32x4.sub(v128.load(k), lows), last));
    }
    if (v128.any_true(outside)) {
      position = ptr;
      for (let lane = LANES - 1; lane >= 0; lane--) {
        const value = load<i32>(begin + (lane << 2));
        if ((value - low) as u32 >= ((n - 1) as u32)) pushEscape(STATES + (lane << 2), value, low, n - 1);
      }
      ptr = position;
    }
    for (let states: i32 = 112; states >= 0; states -= 16) {
      at -= 16;
      if (sparse) {
        // Four of the likeliest value, and no state so full that it gives a word: nothing needs to be looked up.
        const x = v128.load(STATES + states);
        const other = v128.or(i32x4.ne(v128.load(at), likelyValue), i32x4.ge_s(x, likelyFull));
        if (!v128.any_true(other)) {
          const quotient = f32x4.mul(f32x4.convert_i32x4_s(x), likelyReciprocal);
          let q = i32x4.sub(f32x4.add(quotient, magic), magicBits);
          q = i32x4.add(q, i32x4.shr_s(i32x4.sub(x, i32x4.mul(q, likelyFrequency)), 31));
          v128.store(STATES + states, i32x4.add(i32x4.add(x, likelyStart), i32x4.mul(q, likelyGap)));
          continue;
        }
      }
      const e = gather(symbols, i32x4.shl(i32x4.min_u(i32x4.sub(v128.load(at), lows), last), 4));
      const f = v128.and(e, half);
      let x = v128.load(STATES + states);
      const full = i32x4.ge_s(x, i32x4.shl(f, 31 - p));
      const mask = i32x4.bitmask(full);
      v128.store_lane<u64>(ptr - 8, i8x16.swizzle(x, v128.load(PACK + (mask << 4))), 0);
      ptr -= popcnt(mask) << 1;
      x = v128.bitselect(i32x4.shr_u(x, 16), x, full);
      const quotient = f32x4.div(f32x4.convert_i32x4_s(x), f32x4.convert_i32x4_s(f));
      let q = i32x4.sub(f32x4.add(quotient, magic), magicBits);
      q = i32x4.add(q, i32x4.shr_s(i32x4.sub(x, i32x4.mul(q, f)), 31));
      // q * 2^p + (x - q * f) + start
      const gap = i32x4.sub(i32x4.splat(1 << p), f);
      v128.store(STATES + states, i32x4.add(i32x4.add(x, i32x4.shr_u(e, 16)), i32x4.mul(q, gap)));
    }
  }
  position = ptr;
}
