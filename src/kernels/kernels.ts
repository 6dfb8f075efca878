import { IsthmusError } from '../errors.ts';
import { KERNELS } from './inlined.ts';

/** What the module of src/kernels/assembly exports; addresses and counts are unsigned 32-bit. */
export interface KernelExports {
  readonly memory: WebAssembly.Memory;
  /** Sets where the next word stands and forgets faults. */
  begin(position: number): void;
  where(): number;
  /** 0, or 1 for an escape of too many digits, 2 for an escaped value out of range. */
  faultOf(): number;
  decodeSerial(bank: number, components: number, vectors: number, out: number): void;
  encodeSerial(bank: number, components: number, vectors: number, from: number): void;
  decodeGroups(bank: number, components: number, groups: number, out: number, block: number): void;
  encodeGroups(bank: number, components: number, groups: number, from: number, block: number): void;
  decodeRest(bank: number, components: number, vectors: number, out: number): void;
  encodeRest(bank: number, components: number, vectors: number, from: number): void;
  decodePredictive(model: number, vectors: number, out: number, near: number, surprise: number, known: number): void;
  encodePredictive(
    model: number,
    vectors: number,
    from: number,
    near: number,
    surprise: number,
    known: number,
    tables: number,
  ): void;
  subtract(a: number, b: number, count: number): void;
  analyze(x: number, basis: number, out: number, rows: number, length: number, columns: number, scale: number): void;
  synthesize(
    integers: number,
    mean: number,
    basis: number,
    out: number,
    rows: number,
    length: number,
    columns: number,
    step: number,
    used: number,
  ): void;
}

/** Below this the kernels keep the coder's states and their own tables. */
const FIRST = 8192;
/** Images (tables, bases) are kept in the kernels' memory up to this many bytes; then all are dropped and brought again. */
const KEPT_BYTES = 16 * 2 ** 20;
/** Scratch room of one call; what needs more is done in pieces or in plain TypeScript. */
const ROOM_BYTES = 64 * 2 ** 20;
const PAGE = 65536;

/** The WebAssembly kernels at work: their functions, and the memory that they share with us. Calls never interleave. */
export class Kernels {
  readonly run: KernelExports;
  #kept = new WeakMap<object, number>();
  #top = FIRST;
  #bytes: Uint8Array;
  #integers: Int32Array;
  #floats: Float32Array;

  constructor(module: WebAssembly.Module) {
    this.run = new WebAssembly.Instance(module).exports as unknown as KernelExports;
    if (typeof this.run.encodePredictive !== 'function') throw new TypeError('not the kernels of this isthmus');
    const { buffer } = this.run.memory;
    this.#bytes = new Uint8Array(buffer);
    this.#integers = new Int32Array(buffer);
    this.#floats = new Float32Array(buffer);
  }

  /** The memory as bytes; a view that the next {@link keep} or {@link room} may detach. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** The memory as int32. */
  get integers(): Int32Array {
    return this.#integers;
  }

  /** The memory as float32. */
  get floats(): Float32Array {
    return this.#floats;
  }

  /**
   * Address of `image`, which is made once and brought again when the memory for images was full. Overwrites what stands in
   * {@link room}. Null where it is too large to be kept.
   */
  keep(owner: object, image: () => Uint8Array): number | null {
    const known = this.#kept.get(owner);
    if (known !== undefined) return known;
    const bytes = image();
    const size = (bytes.length + 15) & ~15;
    if (size > KEPT_BYTES) return null;
    if (this.#top + size > FIRST + KEPT_BYTES) {
      this.#kept = new WeakMap();
      this.#top = FIRST;
    }
    if (!this.#grow(this.#top + size)) return null;
    const address = this.#top;
    this.#bytes.set(bytes, address);
    this.#kept.set(owner, address);
    this.#top += size;
    return address;
  }

  /** Address of `bytes` of scratch memory after the images, a multiple of 16; null where there is not so much. */
  room(bytes: number): number | null {
    return bytes <= ROOM_BYTES && this.#grow(this.#top + bytes) ? this.#top : null;
  }

  #grow(end: number): boolean {
    const missing = Math.ceil((end - this.#bytes.length) / PAGE);
    if (missing <= 0) return true;
    try {
      this.run.memory.grow(missing);
    } catch {
      return false;
    }
    const { buffer } = this.run.memory;
    this.#bytes = new Uint8Array(buffer);
    this.#integers = new Int32Array(buffer);
    this.#floats = new Float32Array(buffer);
    return true;
  }
}

let current: Kernels | null | undefined;

/**
 * The kernels, opened at the first call from the module inlined in the package: synchronous, nothing is fetched. Null where WebAssembly
 * or its SIMD is missing or forbidden (a content-security policy without `wasm-unsafe-eval`, Cloudflare's workerd): everything then runs in
 * plain TypeScript, to the same bytes.
 */
export function kernels(): Kernels | null {
  if (current === undefined) {
    try {
      current = new Kernels(
        new WebAssembly.Module(Uint8Array.from(atob(KERNELS), (character) => character.charCodeAt(0))),
      );
    } catch {
      current = null;
    }
  }
  return current;
}

/**
 * Takes the kernels from `module`, a compiled `isthmus/kernels.wasm`, where code may not compile WebAssembly itself; null asks for plain
 * TypeScript. Packets are the same either way. Throws `INVALID_ARGUMENT` for another module.
 */
export function useKernels(module: WebAssembly.Module | null): void {
  if (module === null) {
    current = null;
    return;
  }
  try {
    current = new Kernels(module);
  } catch (cause) {
    throw new IsthmusError('INVALID_ARGUMENT', 'useKernels takes the compiled module of isthmus/kernels.wasm', {
      cause,
    });
  }
}

/** Whether WebAssembly does the work; opens it where nobody has. */
export function kernelsInUse(): boolean {
  return kernels() !== null;
}
