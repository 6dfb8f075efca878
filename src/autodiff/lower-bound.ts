import { create } from '@bufbuild/protobuf';
import { modelFunction, node } from '../onnx/build.ts';
import { type Graph, opsetOf } from '../onnx/graph.ts';
import { ModelProtoSchema, type NodeProto, OperatorSetIdProtoSchema } from '../onnx/onnx_pb.ts';

/** Domain of the operators that isthmus brings along. */
export const OWN_DOMAIN = 'isthmus';

/**
 * A node y = max(x, bound), of shapes that broadcast, whose gradient at x also passes where x lies below the bound and
 * would be moved back up (Ballé et al. 2018, "Variational image compression with a scale hyperprior", code): for scales
 * and probabilities that have to stay above a least one and would never return from below it. To a runtime it is a
 * function of the model, so the model has to go through {@link withLowerBound}.
 */
export function lowerBound(x: string, bound: string, y: string): NodeProto {
  return node('LowerBound', [x, bound], [y], {}, { domain: OWN_DOMAIN });
}

/** The model with the function behind {@link lowerBound}. Everything else is shared with `graph`, not copied. */
export function withLowerBound(graph: Graph): Graph {
  if (graph.functions.some((each) => each.domain === OWN_DOMAIN && each.name === 'LowerBound')) return graph;
  const body = modelFunction({
    domain: OWN_DOMAIN,
    name: 'LowerBound',
    inputs: ['x', 'bound'],
    outputs: ['y'],
    nodes: [node('Max', ['x', 'bound'], ['y'])],
    opset: opsetOf(graph),
  });
  const isImported = graph.opsetImport.some(({ domain }) => domain === OWN_DOMAIN);
  const own = create(OperatorSetIdProtoSchema, { domain: OWN_DOMAIN, version: 1n });
  return create(ModelProtoSchema, {
    ...graph,
    opsetImport: isImported ? graph.opsetImport : [...graph.opsetImport, own],
    functions: [...graph.functions, body],
  });
}
