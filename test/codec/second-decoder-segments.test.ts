import fc from 'fast-check';
import { expect, it } from 'vitest';
import { kltCodec } from '../../src/codec/index.ts';
import { AdaptiveModel, segmentsOf, type TableBank } from '../../src/entropy/index.ts';
import { tensor, toFloat32 } from '../../src/tensor.ts';
import { bank } from '../entropy/banks.ts';
import { NEIGHBOURS, uniforms } from '../entropy/cases.ts';
import { type Definition, decodePacket } from './second-decoder.ts';
import { readModel } from './second-decoder-models.ts';
import { type Bank, startsOf } from './second-decoder-stream.ts';

const second = (model: TableBank) => readModel(model.toBytes(), model.size, 7).bank as Bank;

it('the second decoder cuts tensors at the same vectors', () => {
  const models = [1, 2, 7, 64].flatMap((components) => [100, 2000, 3900].map((zero) => bank(components, zero)));
  const banks = models.map(second);
  fc.assert(
    fc.property(fc.nat(models.length - 1), fc.integer({ min: 1, max: 2 ** 27 }), (i, values) => {
      const vectors = Math.ceil(values / models[i].size);
      const segments = segmentsOf([{ model: models[i], length: vectors * models[i].size }]);
      const starts = segments.map(({ ranges }) => ranges[0].from);
      expect(startsOf(banks[i], vectors)).toEqual([...starts, vectors]);
    }),
    { seed: 21, numRuns: 400 },
  );
});

it('the second decoder decodes packets with restart points to the same numbers', () => {
  const vectors = 2 ** 20 + 999;
  const next = uniforms(22);
  const floats = (length: number) => Float32Array.from({ length }, () => next() - 0.5);
  const part = (outer: number, length: number, inner: number) => ({
    layout: { outer, length, inner },
    components: length,
    mean: floats(outer * length * inner),
    basis: floats(length * length),
  });
  const codec = kltCodec(
    {
      features: [
        { name: 'grid', dtype: 'float32', shape: [1, 2, vectors] },
        { name: 'tokens', dtype: 'float32', shape: [1, 7, 3] },
      ],
    },
    [
      { transform: part(1, 2, vectors), step: 0.25, model: bank(2, 2000) },
      { transform: part(7, 3, 1), step: 0.1, model: new AdaptiveModel(3, NEIGHBOURS) },
    ],
  );
  const packet = codec.encode(
    codec.features.map(({ shape }) => tensor('float32', shape, floats(shape.reduce((a, b) => a * b)))),
  );
  const text = new TextDecoder().decode(codec.entries.get('codec.json'));
  const models = [0, 1].map((i) => readModel(codec.entries.get(`tables-${i}.bin`) as Uint8Array, 2 + i, 7));
  const opened = {
    definition: JSON.parse(text) as Definition,
    identity: codec.id,
    entries: new Map(codec.entries),
    models,
  };
  const { values } = decodePacket(opened, packet);
  for (const [i, wanted] of codec.decode(packet).entries()) {
    const floats = toFloat32(wanted);
    expect(values[i]).toHaveLength(floats.length);
    expect(floats.findIndex((value, at) => value !== values[i][at])).toBe(-1);
  }
});
