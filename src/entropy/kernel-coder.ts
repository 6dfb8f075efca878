import { IsthmusError } from '../errors.ts';
import type { Kernels } from '../kernels/index.ts';
import { bankImage } from './image.ts';
import { checkEnd, LANES, readStates } from './lanes.ts';
import type { EntropyModel } from './model.ts';
import { PredictiveModel } from './predictive.ts';
import { predictiveImage } from './predictive-image.ts';
import { LOW } from './rans.ts';
import { TableBank } from './tables.ts';

/** Symbols that go through the kernels' memory at a time: their values stay in a processor's first cache. */
const PIECE_SYMBOLS = 8192;
/** Words that a symbol can take: one, and four for an escape. */
const SYMBOL_WORDS = 5;
/** Bytes of a stream that stand in the kernels' memory beyond those that a piece may need. */
const AHEAD = 2 ** 18;
/** Bytes past the window of a stream that kernels may read without need. */
const OVERREAD = 16;

/** Where the pieces of a call stand in the kernels' memory. */
interface Room {
  readonly bank: number;
  /** Values of a piece. */
  readonly values: number;
  /** 32 values of each component, where vectors are turned into components. */
  readonly block: number;
  /** Words of a piece, at least `SYMBOL_WORDS` for each of its values. */
  readonly words: number;
  readonly wordsEnd: number;
  /** Vectors of a piece; a multiple of 32. */
  readonly vectors: number;
}

function roomFor(kernels: Kernels, bank: TableBank, values: number): Room | null {
  const vectors = Math.min(
    Math.max(LANES, Math.floor(PIECE_SYMBOLS / bank.size / LANES) * LANES),
    Math.ceil(values / bank.size / LANES) * LANES,
  );
  const symbols = vectors * bank.size;
  const image = kernels.keep(bank, () => bankImage(bank));
  if (image === null) return null;
  const block = 4 * symbols;
  const words = block + 4 * LANES * bank.size;
  const wordsEnd = words + 2 * SYMBOL_WORDS * symbols + AHEAD;
  const base = kernels.room(wordsEnd + OVERREAD);
  if (base === null) return null;
  return { bank: image, values: base, block: base + block, words: base + words, wordsEnd: base + wordsEnd, vectors };
}

/** Where all of a call with a predictive model stands. */
interface WholeRoom {
  readonly model: number;
  readonly values: number;
  /** Rows of i16 past the zeros before the first vector: capped values, surprises. */
  readonly near: number;
  readonly surprise: number;
  /** What is known of a vector. */
  readonly known: number;
  /** Table numbers, u16. */
  readonly tables: number;
  readonly words: number;
  readonly wordsEnd: number;
}

function wholeRoomFor(kernels: Kernels, model: PredictiveModel, count: number): WholeRoom | null {
  const image = kernels.keep(model, () => predictiveImage(model));
  if (image === null) return null;
  const width = (model.components + 3) & ~3;
  const vectors = count / model.components;
  // A neighbour farther back than the feature is long meets zeros only.
  const before = Math.max(...model.weights.back);
  if (before > 4 * vectors + 64) return null;
  const rows = 2 * width * (before + vectors);
  const known = 4 * count + 2 * rows;
  const tables = known + 4 * 5 * width;
  const words = tables + 2 * count;
  const wordsEnd = words + 2 * SYMBOL_WORDS * count;
  const base = kernels.room(wordsEnd + OVERREAD);
  if (base === null) return null;
  const near = base + 4 * count;
  kernels.bytes.fill(0, near, near + 2 * rows);
  return {
    model: image,
    values: base,
    near: near + 2 * width * before,
    surprise: near + rows + 2 * width * before,
    known: base + known,
    tables: base + tables,
    words: base + words,
    wordsEnd: base + wordsEnd,
  };
}

/** The twin of RansEncoder and LaneEncoder in WebAssembly: 1 or 32 lanes. */
export class KernelEncoder {
  readonly #kernels: Kernels;
  readonly #states: Int32Array;
  /** The stream's words, last piece first. */
  readonly #pieces: Uint8Array[] = [];

  constructor(kernels: Kernels, lanes: 1 | typeof LANES) {
    this.#kernels = kernels;
    this.#states = new Int32Array(lanes).fill(LOW);
  }

  /** Puts `values` before what was pushed earlier. False, and nothing is done, where the kernels lack the model or the memory. */
  push(model: EntropyModel, values: Int32Array): boolean {
    if (model instanceof TableBank) return this.#pushTables(model, values);
    if (!(model instanceof PredictiveModel) || this.#states.length > 1) return false;
    const room = wholeRoomFor(this.#kernels, model, values.length);
    if (!room) return false;
    const { run, integers, bytes } = this.#kernels;
    integers.set(this.#states, 0);
    integers.set(values, room.values / 4);
    run.begin(room.wordsEnd);
    const vectors = values.length / model.components;
    run.encodePredictive(room.model, vectors, room.values, room.near, room.surprise, room.known, room.tables);
    this.#pieces.push(bytes.slice(run.where(), room.wordsEnd));
    this.#states[0] = integers[0];
    return true;
  }

  #pushTables(bank: TableBank, values: Int32Array): boolean {
    const kernels = this.#kernels;
    const room = roomFor(kernels, bank, values.length);
    if (!room) return false;
    const { run, integers, bytes } = kernels;
    const { size } = bank;
    integers.set(this.#states, 0);
    for (let end = values.length / size; end > 0; ) {
      const first = Math.floor((end - 1) / room.vectors) * room.vectors;
      const vectors = end - first;
      integers.set(values.subarray(first * size, end * size), room.values / 4);
      run.begin(room.wordsEnd);
      if (this.#states.length === 1) {
        run.encodeSerial(room.bank, size, vectors, room.values);
      } else {
        const rest = vectors % LANES;
        if (rest > 0) run.encodeRest(room.bank, size, rest, room.values + 4 * (vectors - rest) * size);
        run.encodeGroups(room.bank, size, (vectors - rest) / LANES, room.values, room.block);
      }
      this.#pieces.push(bytes.slice(run.where(), room.wordsEnd));
      end = first;
    }
    this.#states.set(integers.subarray(0, this.#states.length));
    return true;
  }

  /** The stream. The encoder must not be used afterwards. */
  finish(): Uint8Array {
    const length = this.#pieces.reduce((sum, piece) => sum + piece.length, 4 * this.#states.length);
    const stream = new Uint8Array(length);
    const view = new DataView(stream.buffer);
    for (let lane = 0; lane < this.#states.length; lane++) view.setInt32(4 * lane, this.#states[lane], true);
    let at = 4 * this.#states.length;
    for (let i = this.#pieces.length - 1; i >= 0; i--) {
      stream.set(this.#pieces[i], at);
      at += this.#pieces[i].length;
    }
    return stream;
  }
}

/** The twin of RansDecoder and LaneDecoder in WebAssembly. */
export class KernelDecoder {
  readonly #kernels: Kernels;
  readonly #stream: Uint8Array;
  readonly #states: Int32Array;
  #at: number;

  /** Throws `PACKET_CORRUPT` where no encoder can have written `stream`. */
  constructor(kernels: Kernels, stream: Uint8Array, lanes: 1 | typeof LANES) {
    this.#kernels = kernels;
    this.#stream = stream;
    this.#states = readStates(stream, lanes);
    this.#at = 4 * lanes;
  }

  /** Fills `values`. False, and nothing is done, where the kernels lack the model or the memory. Throws `PACKET_CORRUPT`. */
  pop(model: EntropyModel, values: Int32Array): boolean {
    if (model instanceof TableBank) return this.#popTables(model, values);
    if (!(model instanceof PredictiveModel) || this.#states.length > 1) return false;
    const room = wholeRoomFor(this.#kernels, model, values.length);
    if (!room) return false;
    const { run, integers, bytes } = this.#kernels;
    integers.set(this.#states, 0);
    bytes.set(this.#stream.subarray(this.#at, this.#at + room.wordsEnd - room.words), room.words);
    run.begin(room.words);
    const vectors = values.length / model.components;
    run.decodePredictive(room.model, vectors, room.values, room.near, room.surprise, room.known);
    this.#at += run.where() - room.words;
    this.#check(run.faultOf());
    values.set(integers.subarray(room.values / 4, room.values / 4 + values.length));
    this.#states[0] = integers[0];
    return true;
  }

  #popTables(bank: TableBank, values: Int32Array): boolean {
    const kernels = this.#kernels;
    const room = roomFor(kernels, bank, values.length);
    if (!room) return false;
    const { run, integers, bytes } = kernels;
    const { size } = bank;
    const stream = this.#stream;
    const window = room.wordsEnd - room.words;
    const need = 2 * SYMBOL_WORDS * room.vectors * size;
    integers.set(this.#states, 0);
    // Offset in the stream of the window's first byte. What stands past the stream's end does not matter: who reads it fails.
    let from = this.#at;
    bytes.set(stream.subarray(from, from + window), room.words);
    const total = values.length / size;
    for (let first = 0; first < total; first += room.vectors) {
      const vectors = Math.min(room.vectors, total - first);
      if (from + window < stream.length && from + window - this.#at < need) {
        from = this.#at;
        bytes.set(stream.subarray(from, from + window), room.words);
      }
      run.begin(room.words + this.#at - from);
      if (this.#states.length === 1) {
        run.decodeSerial(room.bank, size, vectors, room.values);
      } else {
        const rest = vectors % LANES;
        run.decodeGroups(room.bank, size, (vectors - rest) / LANES, room.values, room.block);
        if (rest > 0) run.decodeRest(room.bank, size, rest, room.values + 4 * (vectors - rest) * size);
      }
      this.#at = from + run.where() - room.words;
      this.#check(run.faultOf());
      values.set(integers.subarray(room.values / 4, room.values / 4 + vectors * size), first * size);
    }
    this.#states.set(integers.subarray(0, this.#states.length));
    return true;
  }

  /** Checks that the stream was read to its end. Throws `PACKET_CORRUPT`. */
  finish(): void {
    checkEnd(this.#states, this.#at === this.#stream.length);
  }

  #check(fault: number): void {
    if (this.#at > this.#stream.length) {
      throw new IsthmusError('PACKET_CORRUPT', 'an entropy-coded stream ends before its symbols do');
    }
    if (fault === 1) throw new IsthmusError('PACKET_CORRUPT', 'an escaped value claims more than 30 binary digits');
    if (fault === 2) throw new IsthmusError('PACKET_CORRUPT', 'an escaped value is out of range');
  }
}
