import { stringAttribute } from '../../onnx/attributes.ts';
import type { NodeProto } from '../../onnx/onnx_pb.ts';
import type { Backward } from '../backward.ts';
import type { Rule } from '../rule.ts';

/** The letters of each input's axes, and of the output's. */
function termsOf(node: NodeProto, g: Backward): { inputs: string[]; output: string } {
  const equation = stringAttribute(node, 'equation').replaceAll(' ', '');
  const [left, right] = equation.split('->');
  const inputs = left.split(',');
  if (equation.includes('.') || inputs.some((term) => new Set(term).size < term.length)) {
    return g.unsupported(node, `its equation '${equation}' has an ellipsis or a diagonal`);
  }
  // Without an arrow the output has the letters that occur once, sorted.
  const letters = [...inputs.join('')].sort();
  const once = letters.filter((letter, i) => letter !== letters[i - 1] && letter !== letters[i + 1]);
  return { inputs, output: right ?? once.join('') };
}

/**
 * y sums the product of the inputs over the letters that the output lacks: dx sums dy times the other inputs over the
 * letters that x lacks, and repeats it along those that x alone has.
 */
export const Einsum: Rule = (node, g, [dy]) => {
  const { inputs, output } = termsOf(node, g);
  return inputs.map((own, i) => {
    const others = inputs.filter((_, other) => other !== i);
    const known = new Set(output + others.join(''));
    const kept = [...own].filter((letter) => known.has(letter)).join('');
    const alone = [...own].flatMap((letter, axis) => (known.has(letter) ? [] : [axis]));
    const operands = [dy, ...node.input.filter((_, other) => other !== i)];
    const sum = g.emit('Einsum', operands, { equation: `${[output, ...others].join(',')}->${kept}` });
    return alone.length === 0 ? sum : g.expandLike(g.unsqueeze(sum, alone), node.input[i]);
  });
};
