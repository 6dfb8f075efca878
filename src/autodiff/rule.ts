import type { NodeProto } from '../onnx/onnx_pb.ts';
import type { Backward } from './backward.ts';

/** Names of gradients by position; `undefined` where there is none. */
export type Gradients = readonly (string | undefined)[];

/**
 * The derivative of one operator. From a node y = f(x), and the names dy of the loss's gradients at its outputs, it
 * writes nodes with `g` and gives the names dx of the gradients at its inputs, each of its input's shape and element
 * type. Inputs that no gradient flows to (indices, shapes) are `undefined` or left out. Nodes that turn out unused are
 * dropped, so a rule need not ask which of its inputs are wanted.
 *
 * ```ts
 * const Sin: Rule = (node, g, [dy]) => [g.mul(dy, g.emit('Cos', [node.input[0]]))];
 * ```
 */
export type Rule = (node: NodeProto, g: Backward, dy: Gradients) => Gradients;
