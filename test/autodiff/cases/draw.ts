import { elements } from '../../../src/tensor.ts';
import { uniforms } from '../../codec/features.ts';
import type { Input, Sample } from '../applied.ts';

/** Draws what a sample is made of. */
export class Draw {
  readonly random: () => number;
  readonly opset: number;

  constructor(seed: number, opset: number) {
    this.random = uniforms(seed);
    this.opset = opset;
  }

  /** A whole number from `low` to `high`. */
  int(low: number, high: number): number {
    return low + Math.floor(this.random() * (high - low + 1));
  }

  pick<T>(...choices: T[]): T {
    return choices[this.int(0, choices.length - 1)];
  }

  shape(low = 0, high = 3): number[] {
    return Array.from({ length: this.int(low, high) }, () => this.int(1, 4));
  }

  /** A shape that broadcasts to `shape`. */
  narrowed(shape: readonly number[]): number[] {
    return shape.map((length) => this.pick(length, length, 1)).slice(this.pick(0, 0, this.int(0, shape.length)));
  }

  /** Floats from `low` to `high`, at least 0.1 from each corner. */
  real(shape: readonly number[], low = -2, high = 2, corners: readonly number[] = []): Input {
    const value = (): number => {
      const drawn = low + (high - low) * this.random();
      return corners.some((corner) => Math.abs(drawn - corner) < 0.1) ? value() : drawn;
    };
    return { shape, values: Array.from({ length: elements(shape) }, value) };
  }

  /** Floats that differ by at least 0.15 from one another. */
  distinct(shape: readonly number[]): Input {
    const order = Array.from({ length: elements(shape) }, (_, i) => i);
    for (let i = order.length - 1; i > 0; i--) {
      const j = this.int(0, i);
      [order[i], order[j]] = [order[j], order[i]];
    }
    return { shape, values: order.map((i) => (i - order.length / 2) * 0.2 + 0.05 * this.random()) };
  }

  /** Some of the axes of a tensor, at least one, some counted from the end. */
  axes(rank: number): number[] {
    const axes = Array.from({ length: rank }, (_, axis) => axis).filter(() => this.random() < 0.5);
    return (axes.length > 0 ? axes : [this.int(0, rank - 1)]).map((axis) => this.pick(axis, axis - rank));
  }
}

/** Constants of the model. */
export const list = (...values: number[]): Input => ({
  shape: [values.length],
  values,
  dtype: 'int64',
  isConstant: true,
});
export const scalar = (value: number): Input => ({ shape: [], values: [value], isConstant: true });
/** The same given at run time. */
export const fed = (input: Input): Input => ({ ...input, isConstant: false });

export interface Case {
  readonly op: string;
  /** Operator sets to try; 13 and 21 by default. */
  readonly opsets?: readonly number[];
  /** The runtime's kernel of float64 works in float32 inside. */
  readonly isSingle?: boolean;
  readonly draw: (d: Draw) => Sample;
}
