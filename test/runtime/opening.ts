import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildGraph, node, tensorType } from '../../src/onnx/build.ts';
import { mainGraph } from '../../src/onnx/graph.ts';
import { TensorProto_DataLocation, TypeProtoSchema, ValueInfoProtoSchema } from '../../src/onnx/onnx_pb.ts';
import { writeGraph } from '../../src/onnx/read.ts';
import type { OpenSession } from '../../src/runtime/session.ts';
import type { DType } from '../../src/tensor.ts';
import { SHARED } from '../shared.ts';
import { failure } from './contract.ts';
import { AFFINE, float, model } from './onnx-subject.ts';

const x = { name: 'x', dtype: 'float32', shape: [2] } as const;
const y = { name: 'y', dtype: 'float32', shape: [2] } as const;

/** y = x + w, with w in another file. */
function external(location: string): Uint8Array {
  const graph = buildGraph({
    opset: 18,
    inputs: [x],
    outputs: [y],
    nodes: [node('Add', ['x', 'w'], ['y'])],
    initializers: { w: float([2], 10, 20) },
  });
  const [weight] = mainGraph(graph).initializer;
  weight.rawData = new Uint8Array();
  weight.dataLocation = TensorProto_DataLocation.EXTERNAL;
  weight.externalData = [{ $typeName: 'onnx.StringStringEntryProto', key: 'location', value: location }];
  return writeGraph(graph);
}

/** What every opener of ONNX models promises about good and bad files. */
export function openingContract(name: string, prepare: () => Promise<OpenSession> | OpenSession): void {
  describe(`${name} opens and refuses`, () => {
    let open: OpenSession;
    let folder: string;
    const write = async (file: string, bytes: Uint8Array | string) => {
      await writeFile(join(folder, file), bytes);
      return join(folder, file);
    };
    beforeAll(async () => {
      open = await prepare();
      folder = await mkdtemp(join(tmpdir(), 'isthmus-runtime-'));
    });
    afterAll(() => rm(folder, { recursive: true, force: true }));

    it('opens bytes, a view into other bytes, and a path', async () => {
      const padded = new Uint8Array(AFFINE.length + 20).fill(255);
      padded.set(AFFINE, 7);
      const path = await write('affine.onnx', AFFINE);
      for (const given of [AFFINE, padded.subarray(7, 7 + AFFINE.length), Buffer.from(AFFINE), path]) {
        const session = await open(given);
        expect((await session.run({ x: float([1, 3], 1, 2, 3) })).y.data).toEqual(Float32Array.of(3, 5, 7));
        await session.release();
      }
      expect(AFFINE.length).toBeGreaterThan(0); // Not handed over to a thread.
    });

    it('takes options, and refuses values that mean nothing', async () => {
      for (const optimization of ['disabled', 'basic', 'extended', 'all'] as const) {
        await (await open(AFFINE, { threads: 1, optimization })).release();
      }
      await expect(open(AFFINE, { threads: 0 })).rejects.toEqual(failure('INVALID_ARGUMENT', /threads/));
      await expect(open(AFFINE, { threads: 1.5 })).rejects.toEqual(failure('INVALID_ARGUMENT', /threads/));
      await expect(open(AFFINE, { optimization: 'most' as 'all' })).rejects.toEqual(
        failure('INVALID_ARGUMENT', /disabled, basic, extended, all/),
      );
    });

    it('refuses what is not a model', async () => {
      await expect(open(new Uint8Array())).rejects.toEqual(failure('ONNX_INVALID'));
      await expect(open(new TextEncoder().encode('just some text'))).rejects.toEqual(failure('ONNX_INVALID'));
      await expect(open(AFFINE.subarray(0, AFFINE.length - 5))).rejects.toEqual(failure('ONNX_INVALID'));
      await expect(open(await write('text.onnx', 'just some text'))).rejects.toEqual(
        failure('ONNX_INVALID', /text\.onnx/),
      );
      await expect(open(42 as never)).rejects.toEqual(failure('INVALID_ARGUMENT'));
      await expect(open(null as never)).rejects.toEqual(failure('INVALID_ARGUMENT'));
    });

    it('tells a missing file from an unreadable one', async () => {
      await expect(open(join(folder, 'none.onnx'))).rejects.toEqual(failure('FILE_NOT_FOUND', /none\.onnx/));
      await expect(open(folder)).rejects.toEqual(failure('FILE_UNREADABLE'));
    });

    it('keeps to the caps', async () => {
      const path = await write('affine.onnx', AFFINE);
      for (const given of [AFFINE, path]) {
        await expect(open(given, { limits: { onnxBytes: 20 } })).rejects.toEqual(
          failure('LIMIT_EXCEEDED', /onnxBytes/),
        );
      }
    });

    it('reads external data only when asked, and only beside the model', async () => {
      await write('w.bin', new Uint8Array(Float32Array.of(10, 20).buffer));
      const path = await write('external.onnx', external('w.bin'));
      await expect(open(external('w.bin'))).rejects.toEqual(failure('ONNX_EXTERNAL_DATA'));
      await expect(open(path)).rejects.toEqual(failure('ONNX_EXTERNAL_DATA', /external\.onnx/));
      const session = await open(path, { externalData: true });
      expect((await session.run({ x: float([2], 1, 2) })).y.data).toEqual(Float32Array.of(11, 22));
      await session.release();
      const outside = await write('outside.onnx', external('../w.bin'));
      await expect(open(outside, { externalData: true })).rejects.toEqual(failure('ONNX_EXTERNAL_DATA'));
      await expect(open(external('w.bin'), { externalData: true })).rejects.toEqual(failure('ONNX_EXTERNAL_DATA'));
    });

    it('names operators that the runtime lacks, and their domain', async () => {
      const custom = model({
        inputs: [x],
        outputs: [y],
        nodes: [node('Sharpen', ['x'], ['y'], {}, { domain: 'org.example' })],
        domains: { 'org.example': 1 },
      });
      await expect(open(custom)).rejects.toEqual(failure('RUNTIME_LOAD', /Sharpen of domain org\.example/));
      const unknown = model({ inputs: [x], outputs: [y], nodes: [node('Sharpen', ['x'], ['y'])] });
      await expect(open(unknown)).rejects.toEqual(failure('RUNTIME_LOAD', /operator.*Sharpen/s));
      const newer = model({ opset: 99, inputs: [x], outputs: [y], nodes: [node('Neg', ['x'], ['y'])] });
      await expect(open(newer)).rejects.toEqual(failure('RUNTIME_LOAD', /opset/i));
    });

    it('refuses inputs and outputs that are no tensors, or of a type that cannot cross', async () => {
      const graph = buildGraph({
        opset: 18,
        inputs: [x],
        outputs: [],
        nodes: [node('SequenceConstruct', ['x'], ['y'])],
      });
      const type = create(TypeProtoSchema, {
        value: { case: 'sequenceType', value: { elemType: tensorType('float32', [2]) } },
      });
      mainGraph(graph).output.push(create(ValueInfoProtoSchema, { name: 'y', type }));
      await expect(open(writeGraph(graph))).rejects.toEqual(failure('RUNTIME_LOAD', /'y' is a sequence/));
      const typed = (dtype: DType) =>
        model({
          opset: 21,
          irVersion: 10,
          inputs: [{ name: 'x', dtype: 'float32', shape: [5] }],
          outputs: [{ name: 'y', dtype, shape: [5] }],
          nodes: [node('QuantizeLinear', ['x', 'scale', 'zero'], ['y'])],
          initializers: { scale: float([], 1), zero: { dtype, shape: [], data: new Int8Array(1) } },
        });
      // The native build of ONNX Runtime 1.30 ends the whole process when it is to give such an output.
      await expect(open(typed('int4'))).rejects.toEqual(failure('RUNTIME_LOAD', /'y' is int4/));
      const session = await open(typed('int8'));
      expect((await session.run({ x: float([5], 1, 2, 3, -4, 500) })).y.data).toEqual(Int8Array.of(1, 2, 3, -4, 127));
      await session.release();
    });

    it('tells a scalar from a tensor of any rank', async () => {
      const session = await open(
        model({
          inputs: [{ name: 'x', dtype: 'float32' }],
          outputs: [{ name: 'y', dtype: 'float32' }],
          nodes: [node('Neg', ['x'], ['y'])],
        }),
      );
      expect(session.inputs).toEqual([{ name: 'x', dtype: 'float32', shape: [], anyRank: true }]);
      expect((await session.run({ x: float([1, 2], 1, 2) })).y).toEqual(float([1, 2], -1, -2));
      await session.release();
    });

    it.skipIf(!SHARED)('names the custom operators of a real export', async () => {
      await expect(open(`${SHARED}/graphs/superres_prepost_op18.onnx`)).rejects.toEqual(
        failure('RUNTIME_LOAD', /DecodeImage, EncodeImage of domain com\.microsoft\.extensions/),
      );
    });

    it.skipIf(!SHARED)('runs a half-precision model', async () => {
      const session = await open(`${SHARED}/graphs/winml_squeezenet_fp16.onnx`);
      const pixels = { dtype: 'float16', shape: [1, 3, 224, 224], data: new Uint16Array(3 * 224 * 224) } as const;
      const { softmaxout_1: result } = await session.run({ data_0: pixels });
      expect(result).toMatchObject({ dtype: 'float16', shape: [1, 1000, 1, 1] });
      expect(result.data).toBeInstanceOf(Uint16Array);
      await session.release();
    });
  });
}
