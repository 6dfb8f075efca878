import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LEARNED_CODECS } from '../../fixtures/golden/codecs-learned.ts';
import { type Codec, learnedCodec, openTransforms, readCodec } from '../../src/codec/index.ts';
import { readModel } from '../../src/entropy/index.ts';
import { IsthmusError } from '../../src/errors.ts';
import { buildGraph, node } from '../../src/onnx/index.ts';
import { openOnnxRuntimeNode } from '../../src/runtime/index.ts';
import { tensor } from '../../src/tensor.ts';
import { codeOf } from '../code-of.ts';
import { feature } from '../codec/features.ts';
import { failure } from '../runtime/contract.ts';
import { Dice } from './dice.ts';
import { judgeCodecFile } from './judge.ts';
import { archiveOf } from './mutate.ts';

/*
 * Learned codecs bring graphs of their own: foreign ONNX in a file whose checksums and hashes are right.
 */

const { codec: golden } = LEARNED_CODECS[0];
const entry = (name: string) => golden.entries.get(name) as Uint8Array;

/** The golden codec with other bytes in the place of an entry, hashes put right. */
function forged(name: string, bytes: Uint8Array): Uint8Array {
  const definition = JSON.parse(new TextDecoder().decode(entry('codec.json')));
  definition.entries[name] = createHash('sha256').update(bytes).digest('hex');
  const rest = [...golden.entries].filter(([other]) => other !== 'codec.json');
  return archiveOf(
    definition,
    rest.map(([other, own]) => [other, other === name ? bytes : own] as const),
  );
}

/** A protobuf message in a field. */
function field(number: number, content: Uint8Array): Uint8Array {
  const length: number[] = [];
  for (let left = content.length; ; left = Math.floor(left / 128)) {
    length.push(left < 128 ? left : 128 + (left % 128));
    if (left < 128) break;
  }
  const bytes = new Uint8Array(1 + length.length + content.length);
  bytes.set([8 * number + 2, ...length]);
  bytes.set(content, 1 + length.length);
  return bytes;
}

const [GRAPH, NODE, ATTRIBUTE, SUBGRAPH] = [7, 1, 5, 6];
/** Graphs in attributes of nodes of graphs. */
function nested(depth: number): Uint8Array {
  let graph: Uint8Array = new Uint8Array();
  for (let level = 0; level < depth; level++) graph = field(NODE, field(ATTRIBUTE, field(SUBGRAPH, graph)));
  return field(GRAPH, graph);
}

describe('hostile graphs in a codec file', () => {
  it.each<[string, () => Uint8Array, string]>([
    ['graphs in graphs', () => nested(300), 'LIMIT_EXCEEDED'],
    [
      'a million empty nodes and one',
      () =>
        field(
          GRAPH,
          new Uint8Array(2_000_002).map((_, i) => (i % 2 ? 0 : 0x0a)),
        ),
      'LIMIT_EXCEEDED',
    ],
    ['noise', () => new Dice(1, 1).bytes(500), 'CODEC_INVALID'],
    ['no graph', () => new Uint8Array([8, 8]), 'CODEC_INVALID'],
  ])('%s are refused in short, before a runtime sees them', (_, make, code) => {
    for (const name of ['analysis.onnx', 'synthesis.onnx']) {
      const file = forged(name, make());
      let thrown: unknown;
      try {
        readCodec(file);
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toBeInstanceOf(IsthmusError);
      expect((thrown as IsthmusError).code).toBe(code);
      expect((thrown as IsthmusError).message).toContain(name);
      expect((thrown as IsthmusError).message.length).toBeLessThan(600);
    }
  });

  it('with any bytes changed are refused, or code latents as before', () => {
    const seen = new Map<string, number>();
    const edit = fc.record({ at: fc.nat(10_000), remove: fc.nat(3), insert: fc.uint8Array({ maxLength: 4 }) });
    fc.assert(
      fc.property(
        fc.constantFrom('analysis.onnx', 'synthesis.onnx'),
        fc.array(edit, { minLength: 1, maxLength: 3 }),
        fc.nat(),
        (name, edits, seed) => {
          let bytes = [...entry(name)];
          for (const { at, remove, insert } of edits) bytes.splice(at % bytes.length, remove, ...insert);
          bytes = bytes.slice(0, 4096);
          const outcome = judgeCodecFile(new Dice(5, seed), forged(name, Uint8Array.from(bytes)));
          seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
        },
      ),
      { seed: 31, numRuns: 1500 },
    );
    expect(seen.get('accepted')).toBeGreaterThan(50);
    expect(seen.get('CODEC_INVALID')).toBeGreaterThan(500);
  });

  it('that a runtime does not know are refused by it, as an IsthmusError', async () => {
    const unknown = buildGraph({
      opset: 17,
      domains: { 'com.example': 1 },
      inputs: [{ name: 'tokens', dtype: 'float32', shape: [1, 7, 8] }],
      outputs: [{ name: 'code', dtype: 'float32', shape: [1, 7, 3] }],
      nodes: [node('Mystery', ['tokens'], ['code'], {}, { domain: 'com.example' })],
    });
    const codec = withAnalysis(unknown);
    await expect(openTransforms(codec, openOnnxRuntimeNode)).rejects.toEqual(failure('RUNTIME_LOAD'));
  });

  it('that give no numbers are noticed before anything is coded', async () => {
    const infinite = buildGraph({
      opset: 17,
      inputs: [{ name: 'tokens', dtype: 'float32', shape: ['n', 7, 8] }],
      outputs: [{ name: 'code', dtype: 'float32', shape: ['n', 7, 3] }],
      nodes: [node('MatMul', ['tokens', 'w'], ['code'])],
      initializers: { w: tensor('float32', [8, 3], new Float32Array(24).fill(3e38)) },
    });
    const codec = withAnalysis(infinite);
    const transforms = await openTransforms(codec, openOnnxRuntimeNode);
    const latents = await transforms.analyze([feature([1, 7, 8], 1)]);
    expect(codeOf(() => codec.encode(latents))).toBe('TENSOR_INVALID');
    await transforms.release();
  });
});

function withAnalysis(analysis: ReturnType<typeof buildGraph>): Codec {
  if (!golden.transforms) throw new Error('a learned codec has transforms');
  const { features } = golden;
  const model = readModel(entry('tables-0.bin'), 3);
  const latents = [{ name: 'code', vectors: 7, components: 3, step: 1, model }];
  return learnedCodec({ features }, { analysis, synthesis: golden.transforms.synthesis, latents });
}
