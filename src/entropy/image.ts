import type { TableBank } from './tables.ts';

/** Kinds of lookup in src/kernels/assembly/rans.ts. */
const [SCALAR, SMALL, SPARSE, SLOTS] = [0, 1, 2, 3];
const SMALL_SYMBOLS = 16;
const SLOT_BITS = 12;
const SLOT_SYMBOLS = 256;
/** Share of one symbol from which trying it first pays. */
const LIKELY = 0.975;
/** Slot tables (16 kB each) that are worth their place in a processor's cache. */
const MOST_SLOT_TABLES = 16;

const [HEADER, RECORD, SYMBOL, BUCKETS] = [16, 48, 16, 512];

/** A bank as the kernels read it; the layout is told at the head of src/kernels/assembly/rans.ts. */
export function bankImage(bank: TableBank): Uint8Array {
  const { precision, size } = bank;
  const kinds = Array.from({ length: size }, (_, table) => kindOf(bank, table));
  let length = HEADER + RECORD * size;
  for (let table = 0; table < size; table++) {
    length += symbolsOf(bank, table) * SYMBOL + BUCKETS + kindBytes(kinds[table], symbolsOf(bank, table));
  }
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, precision, true);
  view.setUint32(4, size, true);
  let at = HEADER + RECORD * size;
  for (let table = 0; table < size; table++) {
    const symbols = symbolsOf(bank, table);
    const from = bank.offset[table];
    const likely = likeliest(bank, table);
    const record = HEADER + RECORD * table;
    const buckets = at + symbols * SYMBOL;
    view.setInt32(record, kinds[table], true);
    view.setInt32(record + 4, bank.low[table], true);
    view.setInt32(record + 8, symbols, true);
    view.setInt32(record + 12, bank.start[from + likely], true);
    // The escape is never taken for a value: nothing is likely then.
    view.setInt32(record + 16, likely === symbols - 1 ? 0 : bank.frequency[from + likely], true);
    view.setInt32(record + 20, bank.low[table] + likely, true);
    view.setUint32(record + 24, at, true);
    view.setUint32(record + 28, buckets, true);
    view.setUint32(record + 32, buckets + BUCKETS, true);
    for (let i = 0; i < symbols; i++) {
      const frequency = bank.frequency[from + i];
      // ceil(2^(31 + p) / f), at most 2^46: exact in float64, as its distance to the next integer is at least 1 / f
      view.setBigUint64(at + SYMBOL * i, BigInt(Math.ceil(2 ** (31 + precision) / frequency)), true);
      view.setUint32(at + SYMBOL * i + 8, (bank.start[from + i] << 16) | frequency, true);
    }
    for (let i = 0; i < 256; i++) view.setUint16(buckets + 2 * i, bank.bucket[256 * table + i], true);
    if (kinds[table] === SLOTS) writeSlots(bank, table, view, buckets + BUCKETS);
    else if (kinds[table] !== SCALAR) writeSmall(bank, table, view, buckets + BUCKETS);
    at = buckets + BUCKETS + kindBytes(kinds[table], symbols);
  }
  return bytes;
}

function symbolsOf(bank: TableBank, table: number): number {
  return bank.offset[table + 1] - bank.offset[table];
}

function likeliest(bank: TableBank, table: number): number {
  const from = bank.offset[table];
  let best = 0;
  for (let i = 1; i < symbolsOf(bank, table); i++) if (bank.frequency[from + i] > bank.frequency[from + best]) best = i;
  return best;
}

function kindOf(bank: TableBank, table: number): number {
  const symbols = symbolsOf(bank, table);
  if (symbols <= SMALL_SYMBOLS) {
    const likely = likeliest(bank, table);
    const share = bank.frequency[bank.offset[table] + likely] / 2 ** bank.precision;
    return share >= LIKELY && likely < symbols - 1 ? SPARSE : SMALL;
  }
  return bank.precision === SLOT_BITS && symbols <= SLOT_SYMBOLS && bank.size <= MOST_SLOT_TABLES ? SLOTS : SCALAR;
}

function kindBytes(kind: number, symbols: number): number {
  if (kind === SCALAR) return 0;
  return kind === SLOTS ? 4 << SLOT_BITS : 64 + 16 * (symbols - 1);
}

function writeSlots(bank: TableBank, table: number, view: DataView, at: number): void {
  const from = bank.offset[table];
  for (let i = 0, slot = 0; i < symbolsOf(bank, table); i++) {
    const frequency = bank.frequency[from + i];
    for (let k = 0; k < frequency; k++) view.setUint32(at + 4 * slot++, (i << 24) | (frequency << 12) | k, true);
  }
}

function writeSmall(bank: TableBank, table: number, view: DataView, at: number): void {
  const from = bank.offset[table];
  for (let i = 0; i < symbolsOf(bank, table); i++) {
    const [start, frequency] = [bank.start[from + i], bank.frequency[from + i]];
    view.setUint8(at + i, start & 255);
    view.setUint8(at + 16 + i, start >> 8);
    view.setUint8(at + 32 + i, frequency & 255);
    view.setUint8(at + 48 + i, frequency >> 8);
    for (let lane = 0; i > 0 && lane < 8; lane++) view.setInt16(at + 64 + 16 * (i - 1) + 2 * lane, start - 1, true);
  }
}
