import { intAttribute, stringAttribute } from '../attributes.ts';
import { type Dim, printShape } from '../dim.ts';
import { broadcast, type Call, contradiction, input, ofRank, type Rule, shapeOf, unify, type Value } from './call.ts';

/** Shape of a (batched) matrix product by numpy's rules. */
export function matMulShape(call: Call, a: readonly Dim[], b: readonly Dim[]): Dim[] {
  if (a.length === 0 || b.length === 0) throw contradiction(call.node, 'a scalar is no matrix');
  const left = a.length === 1 ? [1, ...a] : a;
  const right = b.length === 1 ? [...b, 1] : b;
  unify(
    call,
    left[left.length - 1],
    right[right.length - 2],
    `inner dimensions of ${printShape(a)} and ${printShape(b)}`,
  );
  const shape = broadcast(call, [left.slice(0, -2), right.slice(0, -2)]);
  if (a.length > 1) shape.push(left[left.length - 2]);
  if (b.length > 1) shape.push(right[right.length - 1]);
  return shape;
}

const matMul: Rule = (call) => [
  { dtype: input(call, 0).dtype, shape: matMulShape(call, shapeOf(call, 0), shapeOf(call, 1)) },
];

const matMulInteger: Rule = (call) => [
  { dtype: 'int32', shape: matMulShape(call, shapeOf(call, 0), shapeOf(call, 1)) },
];

/** a, scale, zero point, b, scale, zero point, y's scale, y's zero point. */
const qLinearMatMul: Rule = (call) => [
  { dtype: input(call, 7).dtype, shape: matMulShape(call, shapeOf(call, 0), shapeOf(call, 3)) },
];

/** Shape of A' B' for inputs `a` and `b`, each transposed where its attribute says so. */
export function gemmShape(call: Call, a: number, b: number): Dim[] {
  const turned = (at: number, name: string) => {
    const dims = ofRank(call, shapeOf(call, at), 2, `input ${at}`);
    return intAttribute(call.node, name, 0) === 0 ? dims : [dims[1], dims[0]];
  };
  const [m, k] = turned(a, 'transA');
  const [inner, n] = turned(b, 'transB');
  unify(call, k, inner, 'inner dimensions');
  return [m, n];
}

const gemm: Rule = (call) => [{ dtype: input(call, 0).dtype, shape: gemmShape(call, 0, 1) }];

/** An Einsum's equation with its letters' lengths. */
export interface Einsum {
  /** Length of every letter; an ellipsis is the letters `.0`, `.1`, … counted from its end. */
  readonly lengths: ReadonlyMap<string, Dim>;
  readonly output: readonly string[];
}

/** Reads the equation of an Einsum against the shapes of its inputs. Throws `ONNX_SHAPE`. */
export function einsumOf(call: Call, shapes: readonly (readonly Dim[])[]): Einsum {
  const equation = stringAttribute(call.node, 'equation').replaceAll(/\s/g, '');
  const [inputs, output] = equation.split('->');
  const terms = inputs.split(',');
  if (terms.length !== shapes.length) throw contradiction(call.node, `'${equation}' has not ${shapes.length} terms`);
  const lengths = new Map<string, Dim>();
  const seen = new Map<string, number>();
  terms.forEach((term, i) => {
    const letters = lettersOf(call, term, shapes[i].length);
    letters.forEach((letter, axis) => {
      const before = lengths.get(letter);
      const length = shapes[i][axis];
      lengths.set(letter, before === undefined ? length : broadcast(call, [[before], [length]])[0]);
      seen.set(letter, (seen.get(letter) ?? 0) + 1);
    });
  });
  const ellipsis = [...lengths.keys()].filter((letter) => letter.startsWith('.')).sort(byAge);
  if (output === undefined) {
    const once = [...lengths.keys()].filter((letter) => !letter.startsWith('.') && seen.get(letter) === 1).sort();
    return { lengths, output: [...ellipsis, ...once] };
  }
  const expanded = output.includes('...')
    ? [...output.slice(0, output.indexOf('...')), ...ellipsis, ...output.slice(output.indexOf('...') + 3)]
    : [...output];
  const stray = expanded.find((letter) => !lengths.has(letter));
  if (stray !== undefined) throw contradiction(call.node, `'${equation}' makes '${stray}' from nothing`);
  return { lengths, output: expanded };
}

function byAge(a: string, b: string): number {
  return Number(b.slice(1)) - Number(a.slice(1));
}

function lettersOf(call: Call, term: string, rank: number): string[] {
  const at = term.indexOf('...');
  const count = rank - (term.length - (at < 0 ? 0 : 3));
  if (count < 0 || (at < 0 && count > 0)) {
    throw contradiction(call.node, `the term '${term}' does not fit ${rank} dimensions`);
  }
  if (at < 0) return [...term];
  const middle = Array.from({ length: count }, (_, i) => `.${count - 1 - i}`);
  return [...term.slice(0, at), ...middle, ...term.slice(at + 3)];
}

const einsum: Rule = (call): Value[] => {
  const { lengths, output } = einsumOf(
    call,
    call.inputs.map((_, i) => shapeOf(call, i)),
  );
  return [{ dtype: input(call, 0).dtype, shape: output.map((letter) => lengths.get(letter) as Dim) }];
};

const det: Rule = (call) => [{ dtype: input(call, 0).dtype, shape: shapeOf(call, 0).slice(0, -2) }];

export const LINEAR: Readonly<Record<string, Rule>> = {
  MatMul: matMul,
  MatMulInteger: matMulInteger,
  QLinearMatMul: qLinearMatMul,
  Gemm: gemm,
  Einsum: einsum,
  Det: det,
};
