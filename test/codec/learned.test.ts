import { describe, expect, it } from 'vitest';
import { LEARNED_CODECS } from '../../fixtures/golden/codecs-learned.ts';
import {
  type Codec,
  fitLatentModel,
  type LearnedParts,
  learnedCodec,
  openTransforms,
  quantizeBy,
  readCodec,
} from '../../src/codec/index.ts';
import { modelCost, PredictiveModel, TableBank } from '../../src/entropy/index.ts';
import {
  buildGraph,
  type Graph,
  mainGraph,
  node,
  readGraph,
  type ValueSpec,
  writeGraph,
} from '../../src/onnx/index.ts';
import { TensorProto_DataLocation } from '../../src/onnx/onnx_pb.ts';
import { type OpenSession, openOnnxRuntimeNode } from '../../src/runtime/index.ts';
import { type Tensor, tensor, toFloat32 } from '../../src/tensor.ts';
import { codeOf } from '../code-of.ts';
import { failure } from '../runtime/contract.ts';
import { feature, tokens, uniforms } from './features.ts';
import { learned } from './learned-codecs.ts';

const codec = learned(0.25, 'predictive');
const [analysisFile, synthesisFile] = ['analysis.onnx', 'synthesis.onnx'].map(
  (name) => codec.entries.get(name) as Uint8Array,
);

describe('a learned codec', () => {
  it('codes the latents: the feature goes through analysis, integers and synthesis', async () => {
    const transforms = await openTransforms(codec, openOnnxRuntimeNode);
    const given = feature(tokens.features[0].shape, 5);
    const latents = await transforms.analyze([given]);
    const packet = codec.encode(latents);
    const decoded = codec.decode(packet);
    for (const [i, { shape, dtype }] of codec.coded.entries()) {
      expect(decoded[i]).toMatchObject({ shape, dtype });
      const integers = quantizeBy(0.25, toFloat32(latents[i] as Tensor));
      expect([...toFloat32(decoded[i])]).toEqual([...integers].map((integer) => integer * 0.25));
    }
    const [received] = await transforms.synthesize(decoded);
    await transforms.release();
    expect(received).toMatchObject({ dtype: 'float32', shape: [1, 17, 24] });

    const direct = await openOnnxRuntimeNode(synthesisFile);
    const { tokens: wanted } = await direct.run({ code: decoded[0], summary: decoded[1] });
    await direct.release();
    expect(received.data).toEqual(wanted.data);
    expect(codec.idealBytes(latents)).toBeLessThanOrEqual(packet.length);
  });

  it('gives features of the golden codecs back in their own dtypes and shapes', async () => {
    for (const { codec: golden } of LEARNED_CODECS) {
      const transforms = await openTransforms(golden, openOnnxRuntimeNode);
      const given = golden.features.map(({ dtype, shape }, i) =>
        dtype === 'float16' ? tensor(dtype, shape, new Uint16Array(6).fill(0x3c00)) : feature(shape, i),
      );
      const received = await transforms.synthesize(golden.decode(golden.encode(await transforms.analyze(given))));
      expect(received.map(({ dtype, shape }) => ({ dtype, shape }))).toEqual(
        golden.features.map(({ dtype, shape }) => ({ dtype, shape })),
      );
      await transforms.release();
    }
  });

  it('is the same codec when read from its file, graphs and all', () => {
    const again = readCodec(codec.toBytes('# Card'));
    expect(again).toMatchObject({ id: codec.id, kind: 'learned', setting: 'step 0.25', coded: codec.coded });
    expect(writeGraph((again.transforms as { analysis: Graph }).analysis)).toEqual(analysisFile);
    expect([...again.entries.keys()].sort()).toEqual([
      'analysis.onnx',
      'codec.json',
      'synthesis.onnx',
      'tables-0.bin',
      'tables-1.bin',
    ]);
  });

  it('tells the bytes of each latent', () => {
    const packet = codec.encode(codec.coded.map(({ shape }, i) => feature(shape, i)));
    expect(codec.itemize(packet).map(({ what }) => what)).toEqual([
      'frame',
      'code, components 0 to 5',
      'summary, components 0 to 4',
      'state of the coder and rounding',
    ]);
  });

  it('refuses features of another shape, and what a network makes of another shape than it declares', async () => {
    const transforms = await openTransforms(codec, openOnnxRuntimeNode);
    const wide = feature([2, 17, 24], 1);
    await expect(transforms.analyze([wide])).rejects.toEqual(failure('TENSOR_INVALID'));
    await expect(transforms.analyze([])).rejects.toEqual(failure('TENSOR_INVALID'));
    await transforms.release();

    // Two rows for one of the batch: its declaration says a batch as well.
    const doubling = graph([TOKENS], [CODE], [node('MatMul', ['tokens', 'w'], ['half']), twice('half', 'code')]);
    const other = codecOf({ analysis: doubling });
    const lying = await openTransforms(other, openOnnxRuntimeNode);
    await expect(lying.analyze([feature([1, 17, 24], 1)])).rejects.toEqual(failure('TENSOR_INVALID'));
    await lying.release();
  });

  it('frees the analysis where the synthesis cannot be opened', async () => {
    let open = 0;
    const once: OpenSession = async (model, options) => {
      if (open > 0) throw new Error('no more');
      open++;
      const session = await openOnnxRuntimeNode(model, options);
      return { ...session, release: async () => void open-- };
    };
    await expect(openTransforms(codec, once)).rejects.toThrow('no more');
    expect(open).toBe(0);
  });
});

describe('kinds without transforms', () => {
  it('need no runtime', async () => {
    const raw = (await import('../../src/codec/index.ts')).rawCodec('raw-f32', tokens);
    const transforms = await openTransforms(raw, () => Promise.reject(new Error('opened')));
    const given = [feature([1, 17, 24], 1)];
    expect(await transforms.analyze(given)).toBe(given);
    expect(raw.coded).toBe(raw.features);
    expect(raw.transforms).toBeNull();
    await transforms.release();
  });
});

const TOKENS: ValueSpec = { name: 'tokens', dtype: 'float32', shape: ['batch', 17, 24] };
const CODE: ValueSpec = { name: 'code', dtype: 'float32', shape: ['batch', 17, 6] };
const twice = (from: string, to: string) => node('Concat', [from, from], [to], { axis: 0 });

function graph(inputs: ValueSpec[], outputs: ValueSpec[], nodes: ReturnType<typeof node>[]): Graph {
  return buildGraph({
    opset: 17,
    inputs,
    outputs,
    nodes,
    initializers: {
      w: tensor('float32', [24, 6], new Float32Array(144).fill(0.1)),
      v: tensor('float32', [6, 24], new Float32Array(144).fill(0.1)),
    },
  });
}

const narrow = () => graph([TOKENS], [CODE], [node('MatMul', ['tokens', 'w'], ['code'])]);
const wide = () => graph([CODE], [TOKENS], [node('MatMul', ['code', 'v'], ['tokens'])]);
const model = (components: number) => fitLatentModel([new Int32Array(17 * components)], components);
const latent = { name: 'code', vectors: 17, components: 6, step: 1, model: model(6) };

/** A good codec but for what is told. */
function codecOf(parts: Partial<LearnedParts>, source = tokens): Codec {
  return learnedCodec(source, { analysis: narrow(), synthesis: wide(), latents: [latent], ...parts });
}

describe('graphs and latents that do not go together', () => {
  const shaped = (spec: ValueSpec, change: Partial<ValueSpec>): ValueSpec => ({ ...spec, ...change });
  const from = (input: ValueSpec) => graph([input], [CODE], [node('MatMul', [input.name, 'w'], ['code'])]);
  const to = (output: ValueSpec) => graph([TOKENS], [output], [node('MatMul', ['tokens', 'w'], [output.name])]);

  it.each<[string, Partial<LearnedParts>]>([
    ['an input of another name', { analysis: from(shaped(TOKENS, { name: 'others' })) }],
    ['an input of another type', { analysis: from(shaped(TOKENS, { dtype: 'float16' })) }],
    ['an input of a type without arrays', { analysis: edited(narrow(), (g) => elementType(g, 14)) }],
    ['an input of other vectors', { analysis: from(shaped(TOKENS, { shape: ['batch', 18, 24] })) }],
    ['a batch of two', { analysis: from(shaped(TOKENS, { shape: [2, 17, 24] })) }],
    ['a symbolic axis beside the batch', { analysis: from(shaped(TOKENS, { shape: ['batch', 'n', 24] })) }],
    ['an input of another rank', { analysis: from(shaped(TOKENS, { shape: [17, 24] })) }],
    ['an input of no rank', { analysis: from(shaped(TOKENS, { shape: undefined })) }],
    ['an output of another name', { analysis: to(shaped(CODE, { name: 'latent' })) }],
    ['an output of another length', { analysis: to(shaped(CODE, { shape: ['batch', 17, 7] })) }],
    [
      'an input too many',
      { analysis: graph([TOKENS, CODE], [{ ...CODE, name: 'out' }], [node('Add', ['code', 'code'], ['out'])]) },
    ],
    ['a synthesis the wrong way round', { synthesis: narrow() }],
    ['a latent that no graph has', { latents: [latent, { ...latent, name: 'more' }] }],
    ['a latent with the name of the feature', { latents: [{ ...latent, name: 'tokens' }] }],
    ['a model of other components', { latents: [{ ...latent, model: model(5) }] }],
    ['no operator set', { analysis: edited(narrow(), (g) => g.opsetImport.splice(0)) }],
    ['a tensor kept in another file', { analysis: edited(narrow(), external) }],
  ])('%s: CODEC_INVALID', (_, parts) => {
    expect(codeOf(() => codecOf(parts))).toBe('CODEC_INVALID');
  });

  it.each<[string, Partial<LearnedParts>]>([
    ['no latents', { latents: [] }],
    ['a latent twice', { latents: [latent, latent] }],
    ['a step that is no number', { latents: [{ ...latent, step: Number.NaN }] }],
    ['a step of 0', { latents: [{ ...latent, step: 0 }] }],
    ['no vectors', { latents: [{ ...latent, vectors: 0 }] }],
    ['2^62 integers', { latents: [{ ...latent, vectors: 2 ** 31 - 1, components: 2 ** 31 - 1 }] }],
  ])('%s: INVALID_ARGUMENT', (_, parts) => {
    expect(codeOf(() => codecOf(parts))).toBe('INVALID_ARGUMENT');
  });

  it('files above the caps', () => {
    const file = codecOf({}).toBytes();
    expect(codeOf(() => readCodec(file, { onnxNodes: 0 }))).toBe('LIMIT_EXCEEDED');
    expect(codeOf(() => readCodec(file, { onnxBytes: 100 }))).toBe('LIMIT_EXCEEDED');
    // The feature is within the cap, more latents are not.
    const many = Array.from({ length: 17 * 24 }, (_, i) => i);
    const grown = { name: 'code', dtype: 'float32', shape: ['batch', 17, many.length] } as const;
    const large = codecOf({
      analysis: growing(TOKENS, grown),
      synthesis: growing(grown, TOKENS),
      latents: [{ ...latent, components: many.length, model: model(many.length) }],
    }).toBytes();
    expect(codeOf(() => readCodec(large, { featureBytes: 4 * 17 * 24 }))).toBe('LIMIT_EXCEEDED');
    expect(codeOf(() => readCodec(large, { featureBytes: 4 * 17 * many.length }))).toBe('none');
  });

  function growing(input: ValueSpec, output: ValueSpec): Graph {
    return graph([input], [output], [node('Expand', [input.name, 'w'], [output.name])]);
  }

  function edited(whole: Graph, edit: (graph: Graph) => void): Graph {
    const copy = readGraph(writeGraph(whole));
    edit(copy);
    return copy;
  }

  /** complex64, for which isthmus has no array. */
  function elementType(whole: Graph, code: number): void {
    const type = mainGraph(whole).input[0].type?.value;
    if (type?.case === 'tensorType') type.value.elemType = code;
  }

  function external(whole: Graph): void {
    const [weight] = mainGraph(whole).initializer;
    weight.rawData = new Uint8Array();
    weight.floatData = [];
    weight.dataLocation = TensorProto_DataLocation.EXTERNAL;
  }
});

describe('entropy models of latents', () => {
  const random = uniforms(9);
  /** A grid of 6 by 6 vectors of 3 integers, each like the one above it. */
  const samples = Array.from({ length: 30 }, () => {
    const values = new Int32Array(36 * 3);
    for (let i = 0; i < values.length; i++) {
      const above = i < 18 ? Math.round(20 * random() - 10) : values[i - 18];
      values[i] = above + Math.round(2 * random() - 1);
    }
    return values;
  });

  it('learn from neighbours in a grid, and cost less for it', () => {
    const fitted = fitLatentModel(samples, 3);
    expect(fitted).toBeInstanceOf(PredictiveModel);
    expect((fitted as PredictiveModel).weights.back).toEqual([1, 6, 7, 5]);
    expect((fitLatentModel(samples, 3, { width: 9 }) as PredictiveModel).weights.back).toEqual([1, 9, 10, 8]);
    const plain = fitLatentModel(samples, 3, { model: 'static' });
    expect(plain).toBeInstanceOf(TableBank);
    const cost = (model: typeof plain) => samples.reduce((sum, values) => sum + modelCost(model, values.slice()), 0);
    expect(cost(fitted)).toBeLessThan(0.6 * cost(plain));
  });

  it('take whole vectors of one length', () => {
    for (const wrong of [[], [new Int32Array(0)], [new Int32Array(7)], [new Int32Array(6), new Int32Array(9)]]) {
      expect(codeOf(() => fitLatentModel(wrong, 3))).toBe('INVALID_ARGUMENT');
    }
  });
});

describe('the quantizer by a step', () => {
  it('works in float32, halves away from zero, and saturates', () => {
    const values = Float32Array.of(0.25, -0.25, 0.2499, 0.75, -1.25, 1e38, -1e38, 0);
    expect([...quantizeBy(0.5, values)]).toEqual([1, -1, 0, 2, -3, 2 ** 29, -(2 ** 29), 0]);
    // In float64 the quotients are 5.49999992 and 19.49999968; the products round to 5.5 and 19.5 in float32.
    expect([...quantizeBy(0.3, Float32Array.of(1.649999976158142, 5.849999904632568))]).toEqual([6, 20]);
  });
});
