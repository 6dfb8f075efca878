import { describe, expect, it } from 'vitest';
import { bytesAtLoss, monotone, summarize } from '../../src/evaluate/interpolate.ts';
import type { Point } from '../../src/evaluate/point.ts';

function point(of: Partial<Point> & Pick<Point, 'way' | 'setting' | 'bytes' | 'loss'>): Point {
  return {
    task: 'classification',
    cut: null,
    images: 100,
    score: 80 - of.loss,
    scoreLow: 70,
    scoreHigh: 90,
    lossLow: of.loss - 1,
    lossHigh: of.loss + 1,
    bytesP50: of.bytes,
    bytesP95: of.bytes,
    bytesMax: of.bytes,
    idealBytes: null,
    agreement: 100 - of.loss,
    headShare: 0,
    headMs: null,
    encodeMs: null,
    decodeMs: null,
    tailMs: null,
    ...of,
  };
}

describe('bytesAtLoss', () => {
  const ladder = [
    { bytes: 1000, loss: 4 },
    { bytes: 4000, loss: 0 },
  ];

  it('is linear in the logarithm of bytes', () => {
    expect(bytesAtLoss(ladder, 2).bytes).toBeCloseTo(2000, 9);
    expect(bytesAtLoss(ladder, 1).bytes).toBeCloseTo(1000 * 4 ** 0.75, 9);
  });

  it('meets the points themselves and does not ask for their order', () => {
    expect(bytesAtLoss([...ladder].reverse(), 0).bytes).toBeCloseTo(4000, 9);
  });

  it('never extrapolates, and says why', () => {
    expect(bytesAtLoss(ladder, 4)).toEqual({
      bytes: null,
      below: 1000,
      reason: expect.stringContaining('below 1000 bytes'),
    });
    const short = [
      { bytes: 1000, loss: 4 },
      { bytes: 2000, loss: 0.7 },
    ];
    expect(bytesAtLoss(short, 0.5)).toEqual({ bytes: null, below: null, reason: expect.stringContaining('0.70') });
    expect(bytesAtLoss([], 0.5).bytes).toBeNull();
  });

  it('takes the bytes of a ladder of one point that is good enough', () => {
    expect(bytesAtLoss([{ bytes: 90_000, loss: 0 }], 0.1)).toMatchObject({ bytes: 90_000, reason: null });
    expect(bytesAtLoss([{ bytes: 90_000, loss: 0.2 }], 0.1).bytes).toBeNull();
  });

  it('lets no lucky point decide: violators are pooled', () => {
    const noisy = [
      { bytes: 1000, loss: 3 },
      { bytes: 2000, loss: 0.2 },
      { bytes: 3000, loss: 1.4 },
      { bytes: 8000, loss: 0 },
    ];
    const expected = [3, 0.8, 0.8, 0];
    monotone(noisy).forEach(({ loss }, i) => {
      expect(loss).toBeCloseTo(expected[i], 12);
    });
    const at = bytesAtLoss(noisy, 0.5).bytes ?? 0;
    expect(at).toBeGreaterThan(3000);
    expect(at).toBeLessThan(8000);
  });
});

describe('monotone', () => {
  it('keeps what already falls and averages what rises throughout', () => {
    const falling = [
      { bytes: 1, loss: 3 },
      { bytes: 2, loss: 2 },
      { bytes: 3, loss: -1 },
    ];
    expect(monotone(falling)).toEqual(falling);
    const rising = falling.map(({ bytes }, i) => ({ bytes, loss: [0, 1, 2][i] }));
    expect(monotone(rising).map(({ loss }) => loss)).toEqual([1, 1, 1]);
  });
});

describe('summarize', () => {
  const points = [
    point({ way: 'reference', setting: 'uncut', bytes: 30_000, loss: 0 }),
    point({ way: 'device', setting: 'answer', bytes: 2, loss: 0, headShare: 1 }),
    point({ way: 'png', setting: 'level=9', bytes: 90_000, loss: 0 }),
    point({ way: 'jpeg', setting: 'q=50 4:2:0', bytes: 5000, loss: 4 }),
    point({ way: 'jpeg', setting: 'q=90 4:2:0', bytes: 20_000, loss: 0.2 }),
    point({ way: 'jpeg', setting: 'q=50 4:4:4', bytes: 6000, loss: 3 }),
    point({ way: 'jpeg', setting: 'q=90 4:4:4', bytes: 24_000, loss: 0 }),
    point({ way: 'klt', setting: 'step=2', cut: 'x', bytes: 1000, loss: 2, headShare: 0.5 }),
    point({ way: 'klt', setting: 'step=1', cut: 'x', bytes: 4000, loss: 0, headShare: 0.5 }),
  ];
  const rows = summarize(points);

  it('has a row a ladder, chroma and cuts apart, the controls left out', () => {
    expect(rows.map(({ ladder }) => ladder)).toEqual(['png', 'jpeg 4:2:0', 'jpeg 4:4:4', 'klt at x']);
    expect(rows.map(({ headShare }) => headShare)).toEqual([0, 0, 0, 0.5]);
  });

  it('compares with the cheapest picture ladder at the same loss', () => {
    const [tenth, half, one] = rows[3].at;
    expect(tenth.bestPicture).toBe('jpeg 4:4:4');
    expect(one.bytes).toBeCloseTo(2000, 9);
    const jpeg420 = bytesAtLoss(points.slice(3, 5), 1).bytes ?? 0;
    expect(one.bestPicture).toBe('jpeg 4:2:0');
    expect(one.ratio).toBeCloseTo(2000 / jpeg420, 9);
    expect(half.ratio).toBeLessThan(1);
    expect(rows[0].at[2].bytes).toBe(90_000);
  });

  it('gives no ratio where a picture format may need less than its ladder says', () => {
    const good = [
      point({ way: 'webp', setting: 'q=50', bytes: 800, loss: 0.3 }),
      point({ way: 'webp', setting: 'q=90', bytes: 3000, loss: 0 }),
    ];
    const klt = summarize([...points, ...good]).find(({ way }) => way === 'klt');
    expect(klt?.at[2]).toMatchObject({ ratio: null, bestPicture: 'webp' });
    expect(klt?.at[0].ratio).not.toBeNull();
  });

  it('gives no ratio where no picture reaches the loss', () => {
    const [row] = summarize(points.slice(7));
    expect(row.at[2]).toMatchObject({ ratio: null, bestPicture: null });
    expect(row.at[2].bytes).toBeCloseTo(2000, 9);
  });
});
