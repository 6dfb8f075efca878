import fc from 'fast-check';
import ndarray from 'ndarray';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Codec, int8DeflateCodec, rawCodec, readCard, readCodec } from '../../src/codec/index.ts';
import { IsthmusError } from '../../src/errors.ts';
import { sealPacket } from '../../src/packet/index.ts';
import { type Tensor, toFloat32 } from '../../src/tensor.ts';
import { codeOf } from '../code-of.ts';
import { feature, fitted, pair, tokens, weightingOf } from './features.ts';
import { learned } from './learned-codecs.ts';

/** Every codec that a cut can have, under one contract. `error` bounds the difference after a round trip. */
const codecs: { name: string; codec: Codec; error: (given: Float32Array) => number }[] = [];

beforeAll(async () => {
  for (const [what, source] of [
    ['tokens', tokens],
    ['pair', pair],
  ] as const) {
    codecs.push({ name: `raw-f32 ${what}`, codec: rawCodec('raw-f32', source), error: () => 0 });
    codecs.push({ name: `raw-f16 ${what}`, codec: rawCodec('raw-f16', source), error: (x) => largest(x) / 2048 });
    for (const levels of [127, 15]) {
      const codec = int8DeflateCodec(source, levels);
      codecs.push({ name: `int8-deflate ${what} ${levels}`, codec, error: (x) => (largest(x) / levels) * 0.51 });
    }
    for (const codec of await fitted(source, [0.05, 1, 500])) {
      const step = Number(codec.setting.split(' ')[1]);
      // half a step in each of at most 24 components, what dropped components held, and float32 rounding
      codecs.push({
        name: `klt ${what} ${codec.setting}`,
        codec,
        error: (x) => step * 3 + (step > 1 ? largest(x) * 2 : 0.01),
      });
    }
    for (const codec of await fitted(source, [0.05, 1, 500], 40, weightingOf(source, 8))) {
      const step = Number(codec.setting.split(' ')[1]);
      // As above, and what the inverse of the weights makes of half a step: they differ by up to a hundred.
      codecs.push({
        name: `klt weighted ${what} ${codec.setting}`,
        codec,
        error: (x) => step * 30 + (step > 1 ? largest(x) * 2 : 0.01),
      });
    }
  }
  for (const [step, model] of [
    [0.05, 'predictive'],
    [1, 'static'],
  ] as const) {
    // half a step in each latent, and float32 rounding
    codecs.push({ name: `learned ${step} ${model}`, codec: learned(step, model), error: () => step * 0.501 });
  }
});

const largest = (x: Float32Array) => x.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
const given = (codec: Codec, seed: number): Tensor[] => codec.coded.map(({ shape }, i) => feature(shape, seed + i));

describe('every codec', () => {
  it('decodes what it encoded, within what quantizing may lose', () => {
    for (const { name, codec, error } of codecs) {
      for (let seed = 7000; seed < 7010; seed++) {
        const sent = given(codec, seed);
        const got = codec.decode(codec.encode(sent));
        for (const [i, tensor] of got.entries()) {
          expect(tensor.shape).toEqual(codec.coded[i].shape);
          const x = toFloat32(sent[i]);
          const y = toFloat32(tensor);
          const worst = x.reduce((worst, value, j) => Math.max(worst, Math.abs(value - y[j])), 0);
          expect(worst, name).toBeLessThanOrEqual(error(x) + 1e-6);
        }
      }
    }
  });

  it('gives the same packet for a feature and for what was read of its file, and the same integers back', () => {
    for (const { name, codec } of codecs) {
      const again = readCodec(codec.toBytes('# A card'));
      expect(again.id).toBe(codec.id);
      const sent = given(codec, 7100);
      const packet = codec.encode(sent);
      expect(again.encode(sent), name).toEqual(packet);
      expect(again.decode(packet), name).toEqual(codec.decode(packet));
    }
  });

  it('is stable: what was decoded encodes to itself', () => {
    for (const { name, codec } of codecs) {
      const once = codec.decode(codec.encode(given(codec, 7200)));
      const twice = codec.decode(codec.encode(once));
      for (const [i, tensor] of twice.entries()) {
        const x = toFloat32(once[i]);
        const y = toFloat32(tensor);
        const worst = x.reduce((worst, value, j) => Math.max(worst, Math.abs(value - y[j])), 0);
        expect(worst, name).toBeLessThanOrEqual(1e-5 * (1 + largest(x)));
      }
    }
  });

  it('itemizes every byte', () => {
    for (const { name, codec } of codecs) {
      const packet = codec.encode(given(codec, 7300));
      const sum = codec.itemize(packet).reduce((a, item) => a + item.bytes, 0);
      expect(sum, name).toBeCloseTo(packet.length, 6);
    }
  });

  it('estimates its packets to within half a percent and the frame of the coder', () => {
    let measured = 0;
    for (const { name, codec } of codecs) {
      const sent = given(codec, 7400);
      const ideal = codec.idealBytes(sent);
      if (ideal === null) continue;
      const real = codec.encode(sent).length;
      expect(real, name).toBeLessThanOrEqual(ideal * 1.005 + 5);
      expect(real, name).toBeGreaterThanOrEqual(ideal);
      measured++;
    }
    expect(measured).toBe(14);
  });

  it('takes an ndarray, strided or not', () => {
    const codec = codecs.find(({ name }) => name.startsWith('klt tokens'))!.codec;
    const [sent] = given(codec, 7500);
    const [, T, D] = sent.shape;
    const transposed = new Float32Array(T * D);
    for (let t = 0; t < T; t++)
      for (let d = 0; d < D; d++) transposed[d * T + t] = (sent.data as Float32Array)[t * D + d];
    const strided = ndarray(transposed, [1, D, T]).transpose(0, 2, 1);
    expect(codec.encode([strided])).toEqual(codec.encode([sent]));
  });

  it('refuses another shape, dtype or count, and values that are not finite', () => {
    for (const { name, codec } of codecs) {
      const sent = given(codec, 7600);
      const bad: Tensor[][] = [
        [],
        [...sent, sent[0]],
        [{ ...sent[0], shape: [sent[0].data.length] }, ...sent.slice(1)],
        [{ ...sent[0], dtype: 'float64', data: Float64Array.from(sent[0].data as Float32Array) }, ...sent.slice(1)],
      ];
      for (const tensors of bad)
        expect(
          codeOf(() => codec.encode(tensors)),
          name,
        ).toBe('TENSOR_INVALID');
      if (codec.kind.startsWith('raw')) continue;
      const nan = (sent[0].data as Float32Array).slice();
      nan[3] = Number.NaN;
      expect(
        codeOf(() => codec.encode([{ ...sent[0], data: nan }, ...sent.slice(1)])),
        name,
      ).toBe('TENSOR_INVALID');
    }
  });

  it('notices every flipped bit and every truncation of a packet', () => {
    for (const { name, codec } of codecs) {
      const packet = codec.encode(given(codec, 7700));
      const stride = Math.max(1, Math.floor(packet.length / 100));
      for (let at = 0; at < packet.length; at += at < 16 ? 1 : stride) {
        const flipped = packet.slice();
        flipped[at] ^= 1 << (at % 8);
        expect(
          codeOf(() => codec.decode(flipped)),
          `${name} ${at}`,
        ).toMatch(/^PACKET_/);
        expect(
          codeOf(() => codec.decode(packet.subarray(0, at))),
          `${name} ${at}`,
        ).toMatch(/^PACKET_/);
      }
    }
  });

  it('throws only IsthmusErrors on bodies with a valid checksum over anything', () => {
    fc.assert(
      fc.property(fc.nat(), fc.uint8Array({ maxLength: 60 }), fc.nat(), (pick, noise, at) => {
        const { codec } = codecs[pick % codecs.length];
        const body = codec.encode(given(codec, 7800)).slice(9);
        const spliced = body.slice();
        spliced.set(noise.subarray(0, Math.max(0, spliced.length - (at % spliced.length))), at % spliced.length);
        for (const bytes of [noise, spliced, body.subarray(0, at % body.length), new Uint8Array([...body, ...noise])]) {
          try {
            codec.decode(sealPacket(codec.id, bytes));
          } catch (error) {
            expect(error).toBeInstanceOf(IsthmusError);
          }
        }
      }),
      { seed: 3, numRuns: 1500 },
    );
  });

  it('accepts no body with bytes after its end', () => {
    for (const { name, codec } of codecs) {
      const body = codec.encode(given(codec, 7900)).slice(9);
      for (const extra of [[0], [0, 0], [1, 2, 3, 4]]) {
        expect(
          codeOf(() => codec.decode(sealPacket(codec.id, new Uint8Array([...body, ...extra])))),
          name,
        ).toBe('PACKET_CORRUPT');
      }
    }
  });

  it('tells codecs apart by identity', () => {
    expect(new Set(codecs.map(({ codec }) => codec.id)).size).toBe(codecs.length);
    const [a, b] = [codecs[0].codec, codecs[1].codec];
    expect(codeOf(() => b.decode(a.encode(given(a, 1))))).toBe('PACKET_FOREIGN');
  });
});

describe('codec file', () => {
  it('carries its card without changing its identity', () => {
    const { codec } = codecs[5];
    expect(readCard(codec.toBytes('# Hello'))).toBe('# Hello');
    expect(readCard(codec.toBytes())).toBeNull();
    expect(readCodec(codec.toBytes('# Hello')).id).toBe(codec.id);
  });

  it('is refused with any bit flipped and at any length', () => {
    for (const { codec } of [codecs[2], codecs[5]]) {
      const file = codec.toBytes('card');
      const stride = Math.max(1, Math.floor(file.length / 300));
      for (let at = 0; at < file.length; at += stride) {
        const flipped = file.slice();
        flipped[at] ^= 1 << (at % 8);
        expect(
          codeOf(() => readCodec(flipped)),
          `byte ${at}`,
        ).toMatch(/^(CODEC_INVALID|CODEC_VERSION)$/);
        expect(
          codeOf(() => readCodec(file.subarray(0, at))),
          `length ${at}`,
        ).toBe('CODEC_INVALID');
      }
      expect(codeOf(() => readCodec(new Uint8Array([...file, 0])))).toBe('CODEC_INVALID');
    }
  });

  it('is refused above the cap', () => {
    expect(codeOf(() => readCodec(codecs[5].codec.toBytes(), { codecBytes: 100 }))).toBe('LIMIT_EXCEEDED');
  });
});
