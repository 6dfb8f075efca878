import {
  AdaptiveBinaryModel,
  AdaptiveModel,
  ContextModel,
  type EntropyModel,
  Histogram,
  type Neighbourhood,
  ParametricModel,
  PredictiveModel,
  SHAPES,
  SparseModel,
  TableBank,
} from '../../src/entropy/index.ts';

/** Uniform numbers in [0, 1), seeded (mulberry32). */
export function uniforms(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Laplacian integers of scale b by the inverse of the distribution. */
export function laplacian(count: number, b: number, random: () => number): Int32Array {
  return Int32Array.from({ length: count }, () => {
    const u = random() - 0.5;
    return Math.round(-Math.sign(u) * b * Math.log(1 - 2 * Math.abs(u)));
  });
}

/** A grid of vectors 6 wide after one of its own, each component smooth over the grid and weaker than the one before. */
export function gridFeature(vectors: number, components: number, random: () => number): Int32Array {
  const values = new Int32Array(vectors * components);
  for (let c = 0; c < components; c++) {
    const real = new Float64Array(vectors);
    const noise = laplacian(vectors, 1000, random);
    for (let v = 0; v < vectors; v++) {
      real[v] = 0.45 * (real[v - 1] ?? 0) + 0.45 * (real[v - 6] ?? 0) + (noise[v] / 1000) * (4 / (1 + c * c));
      values[v * components + c] = Math.round(real[v]);
    }
  }
  return values;
}

export const COMPONENTS = 5;
const VECTORS = 37;
export const WIDTH = 6;

export const NEIGHBOURS: Neighbourhood = {
  terms: [
    { vector: 1, component: 0, weight: 2 },
    { vector: WIDTH, component: 0, weight: 2 },
    { vector: WIDTH - 1, component: -1, weight: 1 },
    { vector: 0, component: 1, weight: 1 },
  ],
  cap: 15,
  thresholds: [1, 3, 8],
};

const random = uniforms(11);
export const SAMPLES = Array.from({ length: 30 }, () => gridFeature(VECTORS, COMPONENTS, random));

function counted(): Histogram[] {
  const histograms = Array.from({ length: COMPONENTS }, () => new Histogram());
  for (const sample of SAMPLES) for (let i = 0; i < sample.length; i++) histograms[i % COMPONENTS].add(sample[i]);
  return histograms;
}

/** Every kind of model, fitted on {@link SAMPLES}. */
export const MODELS: readonly (readonly [name: string, model: EntropyModel])[] = [
  ['static tables', TableBank.fromHistograms(counted(), 12)],
  ...SHAPES.map((shape) => [`parametric ${shape}`, ParametricModel.fit(SAMPLES, COMPONENTS, shape)] as const),
  ['sparse', SparseModel.fit(SAMPLES, COMPONENTS)],
  ['context', ContextModel.fit(SAMPLES, COMPONENTS, NEIGHBOURS)],
  ['adaptive binary', AdaptiveBinaryModel.fit(SAMPLES, COMPONENTS, NEIGHBOURS)],
  ['adaptive', new AdaptiveModel(COMPONENTS, NEIGHBOURS)],
  ['predictive', PredictiveModel.fit(SAMPLES, COMPONENTS, [1, WIDTH, WIDTH - 1])],
];
