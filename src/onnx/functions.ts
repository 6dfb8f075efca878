import { IsthmusError } from '../errors.ts';
import { normalDomain } from './graph.ts';
import type { FunctionProto, NodeProto } from './onnx_pb.ts';
import { subgraphsOf } from './walk.ts';

/** What a function is called by: nodes whose domain, operator and overload are its domain, name and overload. */
function key(domain: string, name: string, overload: string): string {
  return JSON.stringify([normalDomain(domain), name, overload]);
}

/**
 * Checks the functions that a model brings along: named, without two of one name, each body well-formed (by
 * `checkBody`, which gets the set of the function's inputs and adds what the nodes make), outputs made,
 * and no function calling itself, not even through others. Throws `ONNX_INVALID`.
 */
export function checkFunctions(
  functions: readonly FunctionProto[],
  checkBody: (each: FunctionProto, names: Set<string>, where: string) => void,
): void {
  const calls = new Map<string, string[]>();
  for (const each of functions) {
    const where = `function '${each.name}' of domain '${each.domain}'`;
    const own = key(each.domain, each.name, each.overload);
    if (each.name === '') throw new IsthmusError('ONNX_INVALID', 'a function of the model has no name');
    if (calls.has(own)) throw new IsthmusError('ONNX_INVALID', `${where} is defined twice`);
    const names = new Set(each.input);
    if (names.size !== each.input.length) throw new IsthmusError('ONNX_INVALID', `${where} has two inputs of one name`);
    checkBody(each, names, where);
    const missing = each.output.find((name) => !names.has(name));
    if (missing !== undefined)
      throw new IsthmusError('ONNX_INVALID', `output '${missing}' of ${where} is made by no node`);
    calls.set(own, [...calledBy(each.node)]);
  }
  checkNoCycle(calls);
}

function calledBy(nodes: readonly NodeProto[], called = new Set<string>()): Set<string> {
  for (const node of nodes) {
    called.add(key(node.domain, node.opType, node.overload));
    for (const subgraph of subgraphsOf(node)) calledBy(subgraph.node, called);
  }
  return called;
}

/** Takes away functions that call none of those left until none is left; those that stay call one another in a circle. */
function checkNoCycle(calls: Map<string, string[]>): void {
  const callers = new Map<string, string[]>([...calls.keys()].map((name) => [name, []]));
  const open = new Map<string, number>();
  for (const [name, called] of calls) {
    const inner = called.filter((each) => callers.has(each));
    for (const each of inner) callers.get(each)!.push(name);
    open.set(name, inner.length);
  }
  const ready = [...open].filter(([, count]) => count === 0).map(([name]) => name);
  for (let name = ready.pop(); name !== undefined; name = ready.pop()) {
    open.delete(name);
    for (const caller of callers.get(name)!) {
      const left = open.get(caller)! - 1;
      open.set(caller, left);
      if (left === 0) ready.push(caller);
    }
  }
  const [stuck] = open.keys();
  if (stuck !== undefined) {
    const [domain, name] = JSON.parse(stuck) as string[];
    throw new IsthmusError(
      'ONNX_INVALID',
      `function '${name}' of domain '${domain}' calls itself, perhaps through others`,
    );
  }
}
