import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  evaluateDim,
  type Graph,
  inferShapes,
  isKnownDim,
  mainGraph,
  openGraph,
  printShape,
} from '../../src/onnx/index.ts';
import { SHARED } from '../shared.ts';
import { runEveryTensor, type Shapes } from './every-tensor.ts';

/** A graph, and shapes to run it with; symbols follow from them. */
const RUNS: readonly { path: string; shapes: Shapes[]; dims?: Record<string, number>[] }[] = [
  { path: 'graphs/light_densenet121.onnx', shapes: [{ data_0: [1, 3, 224, 224] }] },
  { path: 'graphs/light_inception_v1.onnx', shapes: [{ data_0: [1, 3, 224, 224] }] },
  { path: 'graphs/light_resnet50.onnx', shapes: [{ 'gpu_0/data_0': [1, 3, 224, 224] }] },
  { path: 'graphs/ultraface_rfb_320_simplified.onnx', shapes: [{ input: [1, 3, 240, 320] }] },
  {
    path: 'graphs/vit_cifar_ibp_3_3_8.onnx',
    shapes: [{ input: [1, 3, 32, 32] }, { input: [3, 3, 32, 32] }],
    dims: [{ batch_size: 1 }, { batch_size: 3 }],
  },
  {
    path: 'graphs/winml_candy.onnx',
    shapes: [{ inputImage: [2, 3, 144, 144] }],
    dims: [{ None: 2 }],
  },
  { path: 'graphs/winml_mnist.onnx', shapes: [{ Input3: [1, 1, 28, 28] }] },
  { path: 'graphs/winml_squeezenet_fp16.onnx', shapes: [{ data_0: [1, 3, 224, 224] }] },
  {
    path: 'photos/models/trunk.onnx',
    shapes: [{ pixels: [1, 3, 224, 224] }, { pixels: [2, 3, 224, 224] }],
    dims: [{ batch: 1 }, { batch: 2 }],
  },
  {
    path: 'photos/models/classification.onnx',
    shapes: [{ features: [1, 197, 192] }, { features: [3, 197, 192] }],
    dims: [{ batch: 1 }, { batch: 3 }],
  },
  ...['captioning', 'vqa'].map((name) => ({
    path: `photos/models/${name}.onnx`,
    shapes: [
      { tokens: [1, 5], features: [1, 197, 192] },
      { tokens: [3, 11], features: [3, 197, 192] },
    ],
    dims: [
      { batch: 1, length: 5 },
      { batch: 3, length: 11 },
    ],
  })),
];

/** A style transfer of 720 x 720, with the lengths that it states for upsampling, at 144 x 144: it takes less time. */
const SMALLER = new Map([
  [720n, 144n],
  [362n, 74n],
  [722n, 146n],
]);

function shrink(graph: Graph): void {
  const main = mainGraph(graph);
  for (const { type } of [...main.input, ...main.output]) {
    for (const dim of type?.value.case === 'tensorType' ? (type.value.value.shape?.dim ?? []) : []) {
      if (dim.value.value === 720n) dim.value = { case: 'dimValue', value: 144n };
    }
  }
  for (const { attribute } of main.node) {
    for (const each of attribute) each.ints = each.ints.map((value) => SMALLER.get(value) ?? value);
  }
}

describe.skipIf(!SHARED)('shapes of every tensor of the graphs in ../shared are what onnxruntime makes', () => {
  it.each(RUNS)('$path', async ({ path, shapes, dims = [{}] }) => {
    const graph = await openGraph(join(SHARED as string, path));
    if (path.endsWith('winml_candy.onnx')) shrink(graph);
    const symbolic = inferShapes(graph);
    expect(symbolic.unknown).toEqual([]);
    for (const [i, given] of shapes.entries()) {
      const bound = inferShapes(graph, { inputs: given });
      const real = await runEveryTensor(graph, given);
      expect(real.size).toBeGreaterThan(0);
      for (const [name, { dtype, shape }] of real) {
        const tensor = symbolic.tensors.get(name);
        expect(tensor?.dtype, name).toBe(dtype);
        expect(
          tensor?.shape.map((dim) => evaluateDim(dim, dims[i])),
          `${name} ${printShape(tensor?.shape ?? [])}`,
        ).toEqual(shape);
        expect(bound.tensors.get(name)?.shape, name).toEqual(shape);
      }
    }
  });

  it('graphs/silero_vad_16k_op15.onnx, whose If nodes only concrete shapes decide', async () => {
    const graph = await openGraph(join(SHARED as string, 'graphs/silero_vad_16k_op15.onnx'));
    const symbolic = inferShapes(graph);
    for (const batch of [1, 3]) {
      const inputs = { input: [batch, 512], state: [2, batch, 128], sr: [] };
      const bound = inferShapes(graph, { inputs });
      expect(bound.unknown).toEqual([]);
      const real = await runEveryTensor(graph, inputs);
      for (const [name, { dtype, shape }] of real) {
        expect(bound.tensors.get(name), name).toEqual({ dtype, shape });
        const known = symbolic.tensors.get(name)?.shape;
        if (!known?.every(isKnownDim)) continue;
        const dims = known.map((dim) => evaluateDim(dim, { batch, sequence: 512 }));
        expect(dims, name).toEqual(shape);
      }
    }
  });

  it('graphs/superres_prepost_op18.onnx says which operators it has no rule for', async () => {
    const graph = await openGraph(join(SHARED as string, 'graphs/superres_prepost_op18.onnx'));
    const { unknown, tensors } = inferShapes(graph);
    const decode = unknown.find((each) => each.opType === 'DecodeImage');
    expect(decode?.why).toContain("operator DecodeImage of domain 'com.microsoft.extensions'");
    expect(tensors.size).toBeGreaterThan(40);
  });
});
