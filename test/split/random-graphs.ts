import fc from 'fast-check';
import { buildGraph, type Graph, mainGraph, node } from '../../src/onnx/index.ts';
import { floats } from './run.ts';

const shape = [2, 3];

/** Random graphs of element-wise nodes over 1 to 3 inputs, with skips, dead ends, an initializer and 1 or 2 outputs. */
export const randomGraph: fc.Arbitrary<Graph> = fc
  .record({
    inputs: fc.integer({ min: 1, max: 3 }),
    nodes: fc.array(fc.record({ op: fc.nat(5), reads: fc.tuple(fc.nat(), fc.nat()), near: fc.boolean() }), {
      minLength: 2,
      maxLength: 14,
    }),
    outputs: fc.integer({ min: 1, max: 2 }),
  })
  .map(({ inputs, nodes, outputs }) => {
    const named = Array.from({ length: inputs }, (_, i) => `in${i}`);
    const tensors = [...named, 'w'];
    const made = nodes.map(({ op, reads, near }, i) => {
      // Reading near tensors makes long chains, which have cuts; reading any makes skips.
      const pick = (at: number) => tensors[near ? Math.max(0, tensors.length - 1 - (at % 2)) : at % tensors.length];
      const output = `t${i}`;
      const [a, b] = reads.map(pick);
      const result =
        op < 4
          ? node(['Tanh', 'Neg', 'Abs', 'Sigmoid'][op], [a], [output])
          : node(op === 4 ? 'Add' : 'Mul', [a, b], [output]);
      tensors.push(output);
      return result;
    });
    const given = tensors.slice(-outputs);
    return buildGraph({
      opset: 17,
      inputs: named.map((name) => ({ name, dtype: 'float32', shape })),
      outputs: given.filter((name) => name.startsWith('t')).map((name) => ({ name, dtype: 'float32', shape })),
      nodes: made,
      initializers: { w: floats(...shape) },
    });
  });

/** Inputs of the head where tensors cut a graph, by the definition and without any cleverness; else `undefined`. */
export function cutsByDefinition(graph: Graph, cut: readonly string[]): string[] | undefined {
  const { node: nodes, input, output } = mainGraph(graph);
  const maker = new Map(nodes.flatMap((each) => each.output.map((name) => [name, each] as const)));
  const inputs = new Set(input.map(({ name }) => name));
  const back = (from: readonly string[], stop: (name: string) => boolean) => {
    const seen = new Set<string>();
    const open = [...from];
    for (let name = open.pop(); name !== undefined; name = open.pop()) {
      if (seen.has(name)) continue;
      seen.add(name);
      if (!stop(name)) open.push(...(maker.get(name)?.input ?? []));
    }
    return seen;
  };
  const isCut = (name: string) => cut.includes(name);
  const tail = back(
    output.map(({ name }) => name),
    isCut,
  );
  const head = back(cut, () => false);
  const ofHead = [...head].filter((name) => inputs.has(name));
  const tailNodes = [...tail].filter((name) => !isCut(name)).flatMap((name) => maker.get(name) ?? []);
  const cuts =
    ofHead.length > 0 &&
    ofHead.every((name) => !tail.has(name)) &&
    cut.every((name) => tail.has(name)) &&
    tailNodes.some((each) => each.input.some(isCut));
  return cuts ? ofHead.sort() : undefined;
}

/** Names of the tensors that nodes make from inputs. */
export function dataTensors(graph: Graph): string[] {
  const data = new Set(mainGraph(graph).input.map(({ name }) => name));
  const made: string[] = [];
  for (const { input, output } of mainGraph(graph).node) {
    if (!input.some((name) => data.has(name))) continue;
    for (const name of output) data.add(name);
    made.push(...output);
  }
  return made;
}
