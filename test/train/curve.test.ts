import { expect, it } from 'vitest';
import { type LogLine, lossCurve } from '../../src/train/index.ts';

it('draws losses, their mean and what was measured', async () => {
  const steps = Array.from({ length: 3000 }, (_, i) => ({
    step: i + 1,
    loss: 3 / (1 + i / 100) + Math.sin(i),
    rate: 1,
    gradientNorm: 1,
    ms: 1,
    reported: {},
  }));
  const measured = [1000, 2000, 3000].map((step) => ({ step, measured: { 'validation top-1': step / 4000 } }));
  const lines: LogLine[] = [...steps, ...measured];
  const svg = await lossCurve(lines, 'small.onnx & more');
  expect(svg.startsWith('<svg')).toBe(true);
  expect(svg).toContain('small.onnx &amp; more');
  expect(svg).toContain('validation top-1');
  const points = [...svg.matchAll(/aria-roledescription="line mark"[^>]* d="([^"]*)"/g)].map(
    ([, d]) => d.split('L').length,
  );
  expect(points).toEqual([1001, 1001, 3]);
  expect(await lossCurve([], 'nothing yet')).toContain('<svg');
});
