import { OWN_DOMAIN } from '../lower-bound.ts';
import type { Rule } from '../rule.ts';
import { ofEach } from './functions.ts';

/**
 * y = max(x, bound). Where x lies below the bound, a gradient passes that descent would move x up by, so that x comes back;
 * the bound itself gets none (the LowerBound of CompressAI and of TensorFlow Compression).
 */
const LowerBound: Rule = (node, g, [dy]) => {
  const [x, bound] = node.input;
  const isBack = g.emit('Or', [g.emit('Not', [g.less(x, bound)]), g.less(dy, 0)]);
  return [g.unbroadcast(g.where(isBack, dy, 0), g.shape(node.output[0]), x)];
};

/** What codecs are trained by: not the derivative, which would teach nothing. */
export const CODEC: Readonly<Record<string, Rule>> = {
  // Straight-through (Bengio, Léonard & Courville 2013): a quantizer is trained as if it changed nothing.
  Round: ofEach((_, dy) => dy),
  [`${OWN_DOMAIN}.LowerBound`]: LowerBound,
};
