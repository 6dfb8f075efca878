import { type ErrorCode, IsthmusError } from './errors.ts';

/** Reads little-endian fields from foreign bytes; a read past the end is an error of the given code, never `undefined`. */
export class ByteReader {
  readonly bytes: Uint8Array;
  offset = 0;
  readonly #view: DataView;
  readonly #code: ErrorCode;
  readonly #what: string;

  constructor(bytes: Uint8Array, code: ErrorCode, what: string) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#code = code;
    this.#what = what;
  }

  get remaining(): number {
    return this.bytes.length - this.offset;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }
  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }
  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }
  f32(): number {
    return this.#view.getFloat32(this.#take(4), true);
  }
  /** A view of the next `length` bytes. */
  take(length: number): Uint8Array {
    const start = this.#take(length);
    return this.bytes.subarray(start, start + length);
  }
  /** Throws unless every byte was read. */
  end(): void {
    if (this.remaining !== 0) {
      throw new IsthmusError(this.#code, `${this.#what}: ${this.remaining} bytes left over at offset ${this.offset}`);
    }
  }

  #take(length: number): number {
    if (length < 0 || length > this.remaining) {
      throw new IsthmusError(
        this.#code,
        `${this.#what}: needs ${length} bytes at offset ${this.offset}, ${this.remaining} are left`,
      );
    }
    const start = this.offset;
    this.offset += length;
    return start;
  }
}

/** Writes little-endian fields into a buffer that grows. */
export class ByteWriter {
  #bytes = new Uint8Array(256);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  u8(value: number): this {
    const start = this.#grow(1);
    this.#view.setUint8(start, value);
    return this;
  }
  u16(value: number): this {
    const start = this.#grow(2);
    this.#view.setUint16(start, value, true);
    return this;
  }
  u32(value: number): this {
    const start = this.#grow(4);
    this.#view.setUint32(start, value, true);
    return this;
  }
  f32(value: number): this {
    const start = this.#grow(4);
    this.#view.setFloat32(start, value, true);
    return this;
  }
  put(bytes: Uint8Array): this {
    const start = this.#grow(bytes.length);
    this.#bytes.set(bytes, start);
    return this;
  }
  /** The bytes written so far, copied. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  #grow(length: number): number {
    const start = this.#length;
    this.#length += length;
    if (this.#length > this.#bytes.length) {
      const next = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      next.set(this.#bytes);
      this.#bytes = next;
      this.#view = new DataView(next.buffer);
    }
    return start;
  }
}

/** The little-endian bytes of float32 values, whatever the machine's own order. */
export function float32ToBytes(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < values.length; i++) view.setFloat32(i * 4, values[i], true);
  return bytes;
}

/** The inverse of {@link float32ToBytes}; `bytes.length` is a multiple of 4. */
export function bytesToFloat32(bytes: Uint8Array): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values = new Float32Array(bytes.length >>> 2);
  for (let i = 0; i < values.length; i++) values[i] = view.getFloat32(i * 4, true);
  return values;
}
