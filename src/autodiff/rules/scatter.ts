import { intAttribute, stringAttribute } from '../../onnx/attributes.ts';
import type { Rule } from '../rule.ts';

/** y = x with some elements replaced by updates, increased by them, or the larger or smaller of both. */
function scatter(gather: 'GatherElements' | 'GatherND'): Rule {
  return (node, g, [dy]) => {
    const [x, indices, updates] = node.input;
    const [y] = node.output;
    const axis: Record<string, number> = gather === 'GatherElements' ? { axis: intAttribute(node, 'axis', 0) } : {};
    const gathered = (from: string | undefined) => g.emit(gather, [from, indices], axis);
    const scattered = (onto: string | undefined, values: string, more: Record<string, string> = {}) =>
      g.emit(node.opType, [onto, indices, values], { ...axis, ...more });
    const reduction = stringAttribute(node, 'reduction', 'none');
    switch (reduction) {
      case 'none':
        return [scattered(dy, g.zerosLike(updates)), undefined, gathered(dy)];
      case 'add':
        return [dy, undefined, gathered(dy)];
      case 'max':
      case 'min': {
        // What reaches y reaches the element that it equals; equals share.
        const isOld = g.cast(g.equal(x, y), g.dtype(y));
        const isNew = g.cast(g.equal(updates, gathered(y)), g.dtype(y));
        const share = g.div(dy, scattered(isOld, isNew, { reduction: 'add' }));
        return [g.mul(isOld, share), undefined, g.mul(isNew, gathered(share))];
      }
      default:
        return g.unsupported(node, `its reduction '${reduction}' is not handled, only none, add, max and min`);
    }
  };
}

export const SCATTER: Readonly<Record<string, Rule>> = {
  ScatterElements: scatter('GatherElements'),
  ScatterND: scatter('GatherND'),
};
