import { IsthmusError, messageOf } from '../../errors.ts';
import { DEFAULT_LIMITS } from '../../limits.ts';
import type { DType } from '../../tensor.ts';
import { type Dim, substitute, symbolsOf } from '../dim.ts';
import { dimOfParam } from '../dim-text.ts';
import { dtypeOf } from '../dtypes.ts';
import { tensorTypeOf } from '../graph.ts';
import type { TensorProto, TypeProto, ValueInfoProto } from '../onnx_pb.ts';
import { tensorOf } from '../values.ts';
import { smallSize, type Value } from './call.ts';
import { valueOfTensor } from './generate.ts';

/** Types within types (a sequence of optionals of …) that are looked into. */
const MAX_DEPTH = 8;

/** Lengths given for symbols. */
export type Bindings = Record<string, number>;

/** What declarations are read with. */
export interface Reading {
  readonly bindings: Bindings;
  readonly fresh: () => Dim;
  /** The symbols that mean something, where others (exporters name every open dimension of an output) are unknown. */
  readonly symbols?: ReadonlySet<string>;
}

function dimOf(length: number | string, { bindings, fresh, symbols }: Reading): Dim {
  if (typeof length === 'number') return Number.isSafeInteger(length) ? length : fresh();
  const stated = Object.hasOwn(bindings, length) ? bindings[length] : dimOfParam(length);
  if (stated === undefined) return fresh();
  const dim = substitute(stated, bindings);
  return symbols && symbolsOf(dim).some((name) => !symbols.has(name)) ? fresh() : dim;
}

/** What a type declaration says; element types that isthmus has no array for say nothing. */
export function declaredValue(type: TypeProto | undefined, reading: Reading, depth = 0): Value {
  const inner = type?.value;
  if (inner?.case === 'sequenceType' || inner?.case === 'optionalType') {
    return depth < MAX_DEPTH ? { element: declaredValue(inner.value.elemType, reading, depth + 1) } : {};
  }
  try {
    const declared = tensorTypeOf(type);
    const ranked = declared?.shape !== undefined && declared.shape.length <= DEFAULT_LIMITS.tensorRank;
    return {
      dtype: declared?.dtype,
      shape: ranked ? declared.shape?.map((dim) => dimOf(dim, reading)) : undefined,
    };
  } catch {
    return {};
  }
}

/** An initializer: its type, and its elements where it is small and its data are there. */
export function initializerValue(proto: TensorProto): Value {
  const shape = proto.dims.map(Number);
  if (shape.length > DEFAULT_LIMITS.tensorRank || shape.some((length) => !Number.isSafeInteger(length) || length < 0))
    return {};
  try {
    if (smallSize(shape) !== undefined) return valueOfTensor(tensorOf(proto));
  } catch {
    // External data that was not loaded, or an element type without arrays: the shape is still known.
  }
  let dtype: DType | undefined;
  try {
    dtype = dtypeOf(proto.dataType);
  } catch {
    dtype = undefined;
  }
  return { dtype, shape };
}

/**
 * The lengths of symbols that follow from the shapes given for inputs. Throws `INVALID_ARGUMENT` for a name that is no
 * input, another rank, and lengths that differ from what the model declares or from one another.
 */
export function bindingsOf(
  inputs: readonly ValueInfoProto[],
  given: Readonly<Record<string, readonly number[]>>,
  dims: Readonly<Record<string, number>>,
): Bindings {
  const bindings: Bindings = { ...dims };
  for (const [name, length] of Object.entries(dims)) checkLength(`dimension '${name}'`, length);
  for (const [name, shape] of Object.entries(given)) {
    const input = inputs.find((each) => each.name === name);
    if (input === undefined) {
      throw wrong(`the model has no input '${name}'; it has ${inputs.map((each) => `'${each.name}'`).join(', ')}`);
    }
    bindInput(input, shape, bindings);
  }
  return bindings;
}

function bindInput(input: ValueInfoProto, shape: readonly number[], bindings: Bindings): void {
  const declared = declaredType(input);
  for (const length of shape) checkLength(`the shape [${shape}] of input '${input.name}'`, length);
  if (declared === undefined) return;
  if (declared.length !== shape.length) {
    throw wrong(`input '${input.name}' is declared as [${declared}], got the shape [${shape}]`);
  }
  declared.forEach((dim, axis) => {
    if (dim === '?') return;
    const before = typeof dim === 'number' ? dim : Object.hasOwn(bindings, dim) ? bindings[dim] : undefined;
    if (before !== undefined && before !== shape[axis]) {
      throw wrong(`dimension ${axis} of input '${input.name}' is ${before}, got the shape [${shape}]`);
    }
    if (typeof dim === 'string') bindings[dim] = shape[axis];
  });
}

function declaredType(input: ValueInfoProto): readonly (number | string)[] | undefined {
  try {
    return tensorTypeOf(input.type)?.shape;
  } catch (cause) {
    throw wrong(`input '${input.name}' cannot be given a shape: ${messageOf(cause)}`);
  }
}

function checkLength(what: string, length: number): void {
  if (!Number.isSafeInteger(length) || length < 0)
    throw wrong(`${what} needs whole numbers of at least 0, got ${length}`);
}

function wrong(message: string): IsthmusError {
  return new IsthmusError('INVALID_ARGUMENT', message);
}
