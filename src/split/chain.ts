import { create, equals } from '@bufbuild/protobuf';
import { IsthmusError } from '../errors.ts';
import { type Graph, mainGraph, normalDomain, tensorTypeOf, trueInputs } from '../onnx/graph.ts';
import {
  type FunctionProto,
  FunctionProtoSchema,
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  OperatorSetIdProtoSchema,
  type StringStringEntryProto,
  type ValueInfoProto,
} from '../onnx/onnx_pb.ts';
import { extract } from './extract.ts';
import { type Facts, factsOf, type Length } from './facts.ts';
import { flowOf } from './flow.ts';
import { commonOpset } from './opsets.ts';
import { dimNames, renameGraph, tensorNames } from './rename.ts';
import { Walk } from './separate.ts';

export interface ChainOptions {
  /** Outputs of the first model to the inputs of the second that they feed, where the names differ. */
  readonly rename?: Readonly<Record<string, string>>;
}

/**
 * Two models as one: what the first gives out under a name (or by `rename`) feeds the second's input of that name, as
 * exporters write a trunk and its tail. The result takes the first's inputs and those of the second that nothing feeds
 * (an input of the same name and type in both is one input), and gives the second's outputs; what only the first's
 * other outputs need is left out. Tensor names of the first are kept; those of the second that would clash get the
 * prefix `second/`. A symbolic dimension of the second takes the first's name for it where the joint shows that they
 * are the same, and another name where only the names are.
 *
 * Throws `INVALID_ARGUMENT` where nothing joins the two or types do not agree, `ONNX_UNSUPPORTED` where they were
 * written for operator sets between which an operator that they use changed its meaning.
 */
export function chainGraphs(first: Graph, second: Graph, options: ChainOptions = {}): Graph {
  const joints = jointsOf(mainGraph(first), mainGraph(second), options.rename ?? {});
  const trunk = upTo(first, new Set(joints.values()));
  const shared = sharedInputs(mainGraph(trunk), mainGraph(second), joints);
  const dims = unifyDims(factsOf(first), mainGraph(trunk), mainGraph(second), new Map([...joints, ...shared]));
  const [a, b] = withoutClashes(mainGraph(trunk), mainGraph(second), new Map([...joints, ...shared]), dims);
  const inside = new Set([...a.input.map((input) => input.name), ...joints.values()]);
  const declared = new Set(b.output.map((output) => output.name));
  const infos = new Map([...b.valueInfo, ...a.valueInfo, ...a.output].map((info) => [info.name, info]));
  const graph = create(GraphProtoSchema, {
    name: `${a.name}+${b.name}`,
    docString: lines(a.docString, b.docString),
    node: [...a.node, ...b.node],
    initializer: [...a.initializer, ...b.initializer.filter((tensor) => !inside.has(tensor.name))],
    sparseInitializer: [...a.sparseInitializer, ...b.sparseInitializer],
    input: [...a.input, ...b.input.filter(({ name }) => !inside.has(name))],
    output: b.output,
    valueInfo: [...infos.values()].filter(({ name }) => !declared.has(name)),
    quantizationAnnotation: [...a.quantizationAnnotation, ...b.quantizationAnnotation],
    metadataProps: mergeProps(a.metadataProps, b.metadataProps),
  });
  const domains = new Set([...trunk.opsetImport, ...second.opsetImport].map(({ domain }) => normalDomain(domain)));
  return create(ModelProtoSchema, {
    irVersion: [first.irVersion, second.irVersion].toSorted((a, b) => Number(a - b))[1],
    opsetImport: [...domains].map((domain) =>
      create(OperatorSetIdProtoSchema, { domain, version: BigInt(commonOpset(trunk, second, domain)) }),
    ),
    producerName: first.producerName,
    producerVersion: first.producerVersion,
    domain: first.domain,
    modelVersion: first.modelVersion,
    docString: lines(first.docString, second.docString),
    graph,
    metadataProps: mergeProps(first.metadataProps, second.metadataProps),
    functions: mergeFunctions(trunk, second),
  });
}

/** Inputs of the second to the outputs of the first that feed them, types checked. */
function jointsOf(a: GraphProto, b: GraphProto, rename: Readonly<Record<string, string>>): Map<string, string> {
  const outputs = new Map(a.output.map((info) => [info.name, info]));
  const inputs = new Map(b.input.map((info) => [info.name, info]));
  const joints = new Map<string, string>();
  for (const [output, input] of Object.entries(rename)) {
    if (!outputs.has(output)) throw noJoint(a, b, `the first model has no output '${output}'`);
    if (!inputs.has(input)) throw noJoint(a, b, `the second model has no input '${input}'`);
    if (joints.has(input)) throw noJoint(a, b, `two outputs are to feed '${input}'`);
    joints.set(input, output);
  }
  for (const input of inputs.keys()) {
    if (!joints.has(input) && outputs.has(input) && !Object.hasOwn(rename, input)) joints.set(input, input);
  }
  if (joints.size === 0) throw noJoint(a, b, 'no output of the first model has the name of an input of the second');
  for (const [input, output] of joints) {
    const problem = mismatch(outputs.get(output) as ValueInfoProto, inputs.get(input) as ValueInfoProto);
    if (problem) throw noJoint(a, b, `'${output}' cannot feed '${input}': ${problem}`);
  }
  return joints;
}

function noJoint(a: GraphProto, b: GraphProto, problem: string): IsthmusError {
  const list = (infos: readonly ValueInfoProto[]) => infos.map(({ name }) => `'${name}'`).join(', ');
  return new IsthmusError(
    'INVALID_ARGUMENT',
    `the models do not chain: ${problem}. The first gives ${list(a.output)}, the second takes ${list(trueInputs(b))}; ` +
      'name what goes together with rename: { output: input } (on the command line --join OUTPUT=INPUT)',
  );
}

/** Why a value of one declaration cannot stand where the other is asked for. */
function mismatch(from: ValueInfoProto, to: ValueInfoProto): string | undefined {
  const [a, b] = [tensorTypeOf(from.type), tensorTypeOf(to.type)];
  if (!a || !b) return undefined;
  if (a.dtype !== b.dtype) return `${a.dtype} is not ${b.dtype}`;
  if (!a.shape || !b.shape) return undefined;
  const clash = a.shape.some((n, i) => typeof n === 'number' && typeof b.shape?.[i] === 'number' && n !== b.shape[i]);
  return a.shape.length !== b.shape.length || clash ? `shape [${a.shape}] is not [${b.shape}]` : undefined;
}

/** The part of a model that some of its outputs need. */
function upTo(model: Graph, names: ReadonlySet<string>): Graph {
  const flow = flowOf(model);
  const whole = mainGraph(model);
  const walk = new Walk(flow);
  walk.back(
    [...names].map((name) => flow.id.get(name) as number),
    () => true,
  );
  return extract(model, {
    name: whole.name,
    nodes: walk.nodes().map((node) => flow.nodes[node]),
    inputs: trueInputs(whole).filter(({ name }) => walk.seen[flow.id.get(name) as number] === 1),
    outputs: whole.output.filter(({ name }) => names.has(name)),
  });
}

/** Inputs that both models take under one name and type. */
function sharedInputs(a: GraphProto, b: GraphProto, joints: ReadonlyMap<string, string>): Map<string, string> {
  const inputs = new Map(trueInputs(a).map((info) => [info.name, info]));
  const shared = new Map<string, string>();
  for (const info of trueInputs(b)) {
    const other = inputs.get(info.name);
    if (other && !joints.has(info.name) && mismatch(other, info) === undefined) shared.set(info.name, info.name);
  }
  return shared;
}

/** New names for the second's symbolic dimensions, by what both models call the same tensor. */
function unifyDims(facts: Facts, a: GraphProto, b: GraphProto, same: ReadonlyMap<string, string>): Map<string, Length> {
  const dims = new Map<string, Length>();
  for (const info of b.input) {
    const source = same.get(info.name);
    if (source === undefined) continue;
    const shape = facts.shape(source);
    for (const [axis, length] of (tensorTypeOf(info.type)?.shape ?? []).entries()) {
      const known = shape?.[axis];
      if (typeof length !== 'string' || length === '?' || dims.has(length)) continue;
      if (known !== undefined && !String(known).includes('?')) dims.set(length, known);
    }
  }
  const taken = dimNames([...a.input, ...a.output, ...a.valueInfo]);
  for (const name of dimNames([...b.input, ...b.output, ...b.valueInfo])) {
    if (taken.has(name) && !dims.has(name)) dims.set(name, `second.${name}`);
  }
  return dims;
}

/** Both graphs with names that do not clash; `same` tensors of the second get their name in the first. */
function withoutClashes(
  a: GraphProto,
  b: GraphProto,
  same: ReadonlyMap<string, string>,
  dims: ReadonlyMap<string, Length>,
): [GraphProto, GraphProto] {
  const names = { a: tensorNames(a), b: tensorNames(b) };
  const taken = new Set([...names.a, ...names.b]);
  const fresh = (prefix: string, name: string): string => {
    const other = `${prefix}/${name}`;
    if (taken.has(other)) return fresh(prefix, other);
    taken.add(other);
    return other;
  };
  const outward = new Set(b.output.map((output) => output.name));
  const fixed = new Set([...a.input.map((input) => input.name), ...same.values()]);
  const inA = new Map<string, string>();
  const inB = new Map(same);
  for (const name of names.b) {
    if (inB.has(name) || !names.a.has(name)) continue;
    if (outward.has(name) && !fixed.has(name)) inA.set(name, fresh('first', name));
    else inB.set(name, fresh('second', name));
  }
  const nodes = new Map<string, string>();
  const nodesOfA = new Set(a.node.map((node) => node.name));
  for (const { name } of b.node) if (name !== '' && nodesOfA.has(name)) nodes.set(name, `second/${name}`);
  return [
    renameGraph(a, { tensors: inA, nodes: new Map(), dims: new Map() }),
    renameGraph(b, { tensors: inB, nodes, dims }),
  ];
}

function mergeFunctions(first: Graph, second: Graph): FunctionProto[] {
  const key = (f: FunctionProto) => `${f.domain}.${f.name}${f.overload && `:${f.overload}`}`;
  const own = new Map(first.functions.map((f) => [key(f), f]));
  const added = second.functions.filter((f) => {
    const other = own.get(key(f));
    if (other && !equals(FunctionProtoSchema, f, other)) {
      throw new IsthmusError(
        'ONNX_UNSUPPORTED',
        `both models define the function ${key(f)}, with other bodies; export them without functions, or with other names`,
      );
    }
    return other === undefined;
  });
  return [...first.functions, ...added];
}

/** The first's metadata, and what the second adds. */
function mergeProps(a: StringStringEntryProto[], b: StringStringEntryProto[]): StringStringEntryProto[] {
  const keys = new Set(a.map((entry) => entry.key));
  return [...a, ...b.filter((entry) => !keys.has(entry.key))];
}

function lines(...texts: string[]): string {
  return [...new Set(texts.filter((text) => text !== ''))].join('\n');
}
