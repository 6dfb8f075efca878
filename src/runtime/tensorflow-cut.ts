import { closest } from 'fastest-levenshtein';
import { IsthmusError } from '../errors.ts';

/** What a network's cut depends on: which tensors each one is computed from. */
export interface Flow {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Names that a cut can have, for messages. */
  readonly names: Iterable<string>;
  /** Tensors that one is computed from: none for a constant, undefined for a name that is not there. */
  sourcesOf(name: string): readonly string[] | undefined;
}

/** Everything that some tensors are computed from, themselves included, not looking past `stops`. */
export function upstream(flow: Flow, from: readonly string[], stops: ReadonlySet<string> = new Set()): Set<string> {
  const seen = new Set(from);
  const open = [...from];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (stops.has(name)) continue;
    for (const source of flow.sourcesOf(name) ?? []) {
      if (!seen.has(source)) {
        seen.add(source);
        open.push(source);
      }
    }
  }
  return seen;
}

/**
 * Throws `CUT_UNKNOWN` for a name that is not there, and `CUT_INVALID` unless the tensors separate inputs from outputs,
 * each of them is needed, and both sides have something to compute.
 */
export function checkCut(flow: Flow, cut: readonly string[]): void {
  const invalid = (problem: string) => new IsthmusError('CUT_INVALID', problem);
  const stops = new Set(cut);
  if (cut.length === 0) throw invalid('a cut names at least one tensor');
  if (stops.size < cut.length) throw invalid(`the cut [${cut.join(', ')}] names a tensor twice`);
  for (const name of cut) if (flow.sourcesOf(name) === undefined) throw unknownCut(flow, name);

  const needed = upstream(flow, flow.outputs, stops);
  for (const input of flow.inputs) {
    if (needed.has(input) && !stops.has(input)) {
      throw invalid(`'${cut.join("', '")}' does not cut: input '${input}' still reaches the outputs another way`);
    }
  }
  for (const name of cut) {
    if (!needed.has(name)) throw invalid(`the outputs do not need '${name}' beside the rest of the cut; leave it out`);
    if (!flow.inputs.some((input) => upstream(flow, [name]).has(input))) {
      throw invalid(`'${name}' is a constant, which no input changes; leave it out`);
    }
  }
  if (cut.every((name) => flow.inputs.includes(name))) throw invalid('the cut is made of inputs: its head is empty');
  if (flow.outputs.every((name) => stops.has(name))) throw invalid('the cut is made of outputs: its tail is empty');
}

function unknownCut({ names }: Flow, name: string): IsthmusError {
  const known = [...names];
  const near = known.length > 0 ? `; did you mean '${closest(name, known)}' (of ${known.length} names)?` : '';
  return new IsthmusError('CUT_UNKNOWN', `the model has no layer or node '${name}'${near}`);
}
