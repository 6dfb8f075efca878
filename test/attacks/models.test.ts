import { describe, expect, it } from 'vitest';
import { cuts, flips } from './flips.ts';
import { judgeModel, judgeModelStream } from './judge.ts';
import { sampleModels } from './models.ts';

/*
 * Every single bit and every cut of an entropy model of each format, and of a stream of each.
 */

Error.stackTraceLimit = 0;
const samples = sampleModels();

describe.each(samples)('$name', (sample) => {
  it('every flipped bit of the model: refused, or it codes integers both ways', () => {
    expect(judgeModel(sample, sample.bytes, sample.components)).toBe('accepted');
    for (const { flipped } of flips(sample.bytes)) judgeModel(sample, flipped, sample.components);
  });

  it('every cut of the model is refused', () => {
    for (const cut of cuts(sample.bytes)) {
      const outcome = judgeModel(sample, cut, sample.components);
      if (outcome !== 'CODEC_INVALID') expect.fail(`${cut.length} bytes: ${outcome}`);
    }
  });

  it('every flipped bit and every cut of a stream: refused, or other integers that have this one stream', () => {
    expect(judgeModelStream(sample, sample.stream)).toBe('accepted');
    for (const { flipped } of flips(sample.stream)) judgeModelStream(sample, flipped);
    for (const cut of cuts(sample.stream)) {
      const outcome = judgeModelStream(sample, cut);
      if (outcome !== 'PACKET_CORRUPT') expect.fail(`${cut.length} bytes: ${outcome}`);
    }
  });
});
