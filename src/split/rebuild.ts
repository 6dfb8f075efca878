import { node } from '../onnx/build.ts';
import type { NodeProto } from '../onnx/onnx_pb.ts';
import { tensor } from '../tensor.ts';
import type { Facts, Length } from './facts.ts';

/**
 * Nodes that compute sizes anew from the dimensions of `sources`, under the names that the whole graph gives them: a
 * constant where every element is known, else `Shape`, `Gather` and `Concat`. `taken` names are avoided.
 */
export function rebuildSizes(
  sizes: readonly string[],
  sources: readonly string[],
  facts: Facts,
  taken: (name: string) => boolean,
): NodeProto[] {
  const nodes: NodeProto[] = [];
  let count = 0;
  const fresh = (): string => {
    const name = `isthmus/size/${count++}`;
    return taken(name) ? fresh() : name;
  };
  const emit = (op: string, inputs: string[], attributes: Parameters<typeof node>[3], output?: string) => {
    const name = output ?? fresh();
    nodes.push(node(op, inputs, [name], attributes));
    return name;
  };
  const constant = (shape: readonly number[], values: readonly number[], output?: string) =>
    emit('Constant', [], { value: tensor('int64', shape, BigInt64Array.from(values, BigInt)) }, output);
  const measured = new Map<string, string>();
  const gather = (length: Length, shape: readonly number[], output?: string) => {
    const source = sources.find((name) => facts.shape(name)?.includes(length)) as string;
    const measure = measured.get(source) ?? emit('Shape', [source], {});
    measured.set(source, measure);
    const axis = (facts.shape(source) as readonly Length[]).indexOf(length);
    return emit('Gather', [measure, constant(shape, [axis])], { axis: 0 }, output);
  };
  for (const name of sizes) {
    const value = facts.value(name) as readonly Length[];
    const scalar = facts.shape(name)?.length === 0;
    if (value.every((length) => typeof length === 'number')) constant(scalar ? [] : [value.length], value, name);
    else if (scalar) gather(value[0], [], name);
    else {
      const parts = value.map((length) => (typeof length === 'number' ? constant([1], [length]) : gather(length, [1])));
      emit('Concat', parts, { axis: 0 }, name);
    }
  }
  return nodes;
}
