import { stringAttribute } from '../../onnx/attributes.ts';
import type { Dim } from '../../onnx/dim.ts';
import type { NodeProto } from '../../onnx/onnx_pb.ts';
import type { Backward } from '../backward.ts';
import type { Rule } from '../rule.ts';

/** The letters of each input's axes, and of the output's. The axes of an ellipsis have letters that the equation lacks. */
interface Terms {
  readonly inputs: readonly string[];
  readonly output: string;
  readonly ellipsis: string;
}

function termsOf(node: NodeProto, g: Backward): Terms {
  const equation = stringAttribute(node, 'equation').replaceAll(/\s/g, '');
  const [left, right] = equation.split('->');
  const terms = left.split(',');
  const counts = terms.map((term, i) => (term.includes('...') ? g.rank(node.input[i]) - (term.length - 3) : 0));
  const free = [...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'].filter((each) => !equation.includes(each));
  // Those of several inputs are the same from the last on, as broadcasting has it.
  const ellipsis = free.slice(0, Math.max(...counts)).join('');
  const last = (count: number) => ellipsis.slice(ellipsis.length - count);
  // Without an arrow the output has the axes of the ellipsis and the letters that occur once, sorted.
  const letters = [...left.replaceAll(/[.,]/g, '')].sort();
  const once = letters.filter((letter, i) => letter !== letters[i - 1] && letter !== letters[i + 1]);
  return {
    inputs: terms.map((term, i) => term.replace('...', last(counts[i]))),
    output: right?.replace('...', ellipsis) ?? ellipsis + once.join(''),
    ellipsis,
  };
}

/**
 * y sums the product of the inputs over the letters that the output lacks: dx sums dy times the other inputs over the
 * letters that x lacks, and repeats it along those that x alone has. Where x has a letter twice, dx is that on the diagonal.
 */
export const Einsum: Rule = (node, g, [dy]) => {
  const { inputs, output, ellipsis } = termsOf(node, g);
  return inputs.map((own, i) => {
    const x = node.input[i];
    const others = inputs.filter((_, other) => other !== i);
    const known = new Set(output + others.join(''));
    const isFirst = (letter: string, axis: number) => own.indexOf(letter) === axis;
    const kept = [...own].filter((letter, axis) => known.has(letter) && isFirst(letter, axis)).join('');
    const missing = [...own].flatMap((letter, axis) => (known.has(letter) && isFirst(letter, axis) ? [] : [axis]));
    const operands = [dy, ...node.input.filter((_, other) => other !== i)];
    let dx = g.emit('Einsum', operands, { equation: `${[output, ...others].join(',')}->${kept}` });
    if (missing.length > 0) dx = g.unsqueeze(dx, missing);
    for (const axis of missing) {
      const first = own.indexOf(own[axis]);
      if (first !== axis) dx = g.where(isDiagonal(g, x, first, axis), dx, 0);
    }
    if (missing.some((axis) => !known.has(own[axis]) && isFirst(own[axis], axis))) dx = g.expandLike(dx, x);
    if (ellipsis === '') return dx;
    return g.unbroadcast(dx, broadcastShape(g, x, own, node.output[0], { output, ellipsis }), x);
  });
};

/** The lengths of a gradient before it is summed over what the ellipsis broadcast. */
function broadcastShape(
  g: Backward,
  x: string,
  own: string,
  y: string,
  { output, ellipsis }: Pick<Terms, 'output' | 'ellipsis'>,
): readonly Dim[] | undefined {
  const [from, to] = [g.shape(x), g.shape(y)];
  const lengths = [...own].map((letter, axis) =>
    ellipsis.includes(letter) ? to?.[output.indexOf(letter)] : from?.[axis],
  );
  return lengths.every((length) => length !== undefined) ? lengths : undefined;
}

/** Where the indices along two axes of x are the same. */
function isDiagonal(g: Backward, x: string, first: number, second: number): string {
  const rank = g.rank(x);
  const indices = (axis: number) => {
    const length = g.reshape(g.lengthsOf(x, axis, axis + 1), []);
    const range = g.emit('Range', [g.number(0, 'int64'), length, g.number(1, 'int64')]);
    return g.reshape(range, [-1, ...new Array<number>(rank - 1 - axis).fill(1)]);
  };
  return g.equal(indices(first), indices(second));
}
