import { stringAttribute } from '../../onnx/attributes.ts';
import type { Rule } from '../rule.ts';
import { numbered, SCATTER_ADDS, scatterFlat } from './pick.ts';

/**
 * What padding put around is taken off, and what it took off is zeros. Where the padding repeats elements of x, each gets
 * the sum of its repeats: padding the elements' numbers says whose they are.
 */
const Pad: Rule = (node, g, [dy]) => {
  const [x, pads, value, axes] = node.input;
  const mode = stringAttribute(node, 'mode', 'constant');
  if (mode !== 'constant') {
    if (g.opset < SCATTER_ADDS) {
      g.unsupported(node, `its mode '${mode}' needs operator set ${SCATTER_ADDS} or later (the model has ${g.opset})`);
    }
    return [scatterFlat(g, x, g.emit('Pad', [numbered(g, x), pads, undefined, axes], { mode }), dy as string, true)];
  }
  if (g.wants(value)) return g.unsupported(node, 'the value that it pads with is differentiated');
  return [g.emit('Pad', [dy, g.neg(pads), undefined, axes])];
};

export const PAD: Readonly<Record<string, Rule>> = { Pad };
