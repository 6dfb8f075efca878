import type { NodeProto } from '../onnx/onnx_pb.ts';
import { usesOf } from '../onnx/walk.ts';
import type { DType } from '../tensor.ts';

const FLOATS: ReadonlySet<DType> = new Set<DType>(['float32', 'float64', 'float16', 'bfloat16']);

/** Whether values of this type vary smoothly. What is not known may. */
export function isFloat(dtype: DType | undefined): boolean {
  return dtype === undefined || FLOATS.has(dtype);
}

/** Which tensors vary smoothly with the wanted ones. Integers and booleans (shapes, indices, masks) are constants. */
export interface Activity {
  has(name: string): boolean;
  /** From a wanted tensor to `name`, tensor by tensor. */
  pathTo(name: string): string[];
}

export function activityOf(
  nodes: readonly NodeProto[],
  wanted: readonly string[],
  dtypeOf: (name: string) => DType | undefined,
): Activity {
  /** The tensor that each active one depends on; a wanted one depends on none. */
  const source = new Map<string, string | undefined>(wanted.map((name) => [name, undefined]));
  for (const node of nodes) {
    const from = usesOf(node).find((name) => source.has(name));
    if (from === undefined) continue;
    for (const name of node.output) {
      if (name !== '' && !source.has(name) && isFloat(dtypeOf(name))) source.set(name, from);
    }
  }
  return {
    has: (name) => source.has(name),
    pathTo: (name) => {
      const path: string[] = [];
      for (let at: string | undefined = name; at !== undefined; at = source.get(at)) path.unshift(at);
      return path;
    },
  };
}

/** The path from a wanted tensor through a node, for messages. */
export function pathTo(node: NodeProto, active: Activity): string {
  const made = node.output.find((name) => active.has(name));
  const path = (made === undefined ? [] : active.pathTo(made)).map((name) => `'${name}'`);
  return (path.length <= 8 ? path : [...path.slice(0, 3), '…', ...path.slice(-4)]).join(' -> ');
}
