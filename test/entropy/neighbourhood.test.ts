import fc from 'fast-check';
import { expect, it } from 'vitest';
import { AdaptiveModel, type Neighbourhood } from '../../src/entropy/index.ts';
import { NeighbourGrid } from '../../src/entropy/neighbourhood.ts';
import { codeOf } from '../code-of.ts';

const term = fc
  .record({
    vector: fc.integer({ min: 0, max: 9 }),
    component: fc.integer({ min: -5, max: 5 }),
    weight: fc.integer({ min: 1, max: 255 }),
  })
  .filter(({ vector, component }) => vector > 0 || component > 0);
const neighbourhood: fc.Arbitrary<Neighbourhood> = fc.record({
  terms: fc.array(term, { maxLength: 6 }),
  cap: fc.integer({ min: 1, max: 255 }),
  thresholds: fc.uniqueArray(fc.integer({ min: 1, max: 3000 }), { maxLength: 8 }).map((t) => t.sort((a, b) => a - b)),
});

it('counts the thresholds reached by the capped, weighted magnitudes of neighbours inside the feature', () => {
  fc.assert(
    fc.property(
      neighbourhood,
      fc.integer({ min: 1, max: 4 }),
      fc.array(fc.integer({ min: -400, max: 400 }), { maxLength: 60 }),
      (given, components, list) => {
        const vectors = Math.floor(list.length / components);
        const grid = new NeighbourGrid(given, vectors, components);
        for (let v = 0; v < vectors; v++) {
          for (let c = 0; c < components; c++) {
            let sum = 0;
            for (const { vector, component, weight } of given.terms) {
              const [row, column] = [v - vector, c - component];
              if (row < 0 || column < 0 || column >= components) continue;
              sum += weight * Math.min(given.cap, Math.abs(list[row * components + column]));
            }
            expect(grid.context(v, c)).toBe(given.thresholds.filter((threshold) => threshold <= sum).length);
            grid.set(v, c, list[v * components + c]);
          }
        }
      },
    ),
    { seed: 9, numRuns: 300 },
  );
});

const good: Neighbourhood = { terms: [{ vector: 1, component: -1, weight: 3 }], cap: 15, thresholds: [1, 5] };
it.each([
  ['the value itself', { ...good, terms: [{ vector: 0, component: 0, weight: 1 }] }],
  ['a later component of this vector', { ...good, terms: [{ vector: 0, component: -1, weight: 1 }] }],
  ['a later vector', { ...good, terms: [{ vector: -1, component: 0, weight: 1 }] }],
  ['half a vector', { ...good, terms: [{ vector: 0.5, component: 1, weight: 1 }] }],
  ['no weight', { ...good, terms: [{ vector: 1, component: 0, weight: 0 }] }],
  ['no cap', { ...good, cap: 0 }],
  ['thresholds that fall', { ...good, thresholds: [5, 1] }],
  ['thresholds that repeat', { ...good, thresholds: [5, 5] }],
  ['a threshold that is always reached', { ...good, thresholds: [0, 5] }],
  ['too many terms', { ...good, terms: new Array(33).fill(good.terms[0]) }],
])('refuses %s', (_, given) => {
  expect(codeOf(() => new AdaptiveModel(3, good))).toBe('none');
  expect(codeOf(() => new AdaptiveModel(3, given))).toBe('INVALID_ARGUMENT');
});
