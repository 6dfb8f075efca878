import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  add,
  ceilDivide,
  type Dim,
  differ,
  divideExactly,
  evaluate,
  floorDivide,
  isKnown,
  maxDim,
  minDim,
  modulo,
  mul,
  printDim,
  rangeOf,
  sameDim,
  sub,
  substitute,
  symbol,
  symbolsOf,
} from '../../src/onnx/dim.ts';
import { dimOfParam, parseDim } from '../../src/onnx/dim-text.ts';

const [batch, height] = [symbol('batch'), symbol('H')];
const SETTINGS = { seed: 20261122, numRuns: 300 };

/** An expression, and what it must be worth, computed beside it with plain numbers. */
interface Twin {
  readonly dim: Dim;
  readonly value: (lengths: Record<string, number>) => number;
}

const twins = fc.letrec<{ twin: Twin }>((tie) => ({
  twin: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.integer({ min: -9, max: 9 }).map((n) => ({ dim: n, value: () => n })),
    fc
      .constantFrom('a', 'b', 'c')
      .map((name) => ({ dim: symbol(name), value: (l: Record<string, number>) => l[name] })),
    fc
      .tuple(fc.constantFrom('add', 'sub', 'mul', 'min', 'max'), tie('twin'), tie('twin'))
      .map(([op, x, y]) => combine(op, x, y)),
    fc.tuple(tie('twin'), fc.integer({ min: 1, max: 7 })).map(([x, n]) => ({
      dim: floorDivide(x.dim, n),
      value: (l: Record<string, number>) => Math.floor(x.value(l) / n),
    })),
  ),
})).twin;

const OPERATORS: Record<string, [(a: Dim, b: Dim) => Dim, (a: number, b: number) => number]> = {
  add: [add, (a, b) => a + b],
  sub: [sub, (a, b) => a - b],
  mul: [mul, (a, b) => a * b],
  min: [minDim, Math.min],
  max: [maxDim, Math.max],
};

function combine(op: string, x: Twin, y: Twin): Twin {
  const [exact, plain] = OPERATORS[op];
  return { dim: exact(x.dim, y.dim), value: (l) => plain(x.value(l), y.value(l)) };
}

const lengths = fc.record({
  a: fc.integer({ min: 1, max: 30 }),
  b: fc.integer({ min: 1, max: 30 }),
  c: fc.integer({ min: 1, max: 30 }),
});

describe('arithmetic of dimensions', () => {
  it('is that of integers, whatever the symbols', () => {
    fc.assert(
      fc.property(twins, lengths, ({ dim, value }, l) => {
        expect(evaluate(dim, l)).toBe(value(l) + 0);
      }),
      SETTINGS,
    );
  });

  it('keeps one form for a ring expression: order and brackets do not matter', () => {
    fc.assert(
      fc.property(twins, twins, twins, (x, y, z) => {
        expect(sameDim(add(x.dim, y.dim), add(y.dim, x.dim))).toBe(true);
        expect(sameDim(mul(x.dim, add(y.dim, z.dim)), add(mul(x.dim, y.dim), mul(z.dim, x.dim)))).toBe(true);
        expect(sub(add(x.dim, y.dim), y.dim)).toEqual(x.dim);
      }),
      SETTINGS,
    );
  });

  it('prints what it reads back', () => {
    fc.assert(
      fc.property(twins, ({ dim }) => {
        expect(parseDim(printDim(dim))).toEqual(dim);
      }),
      SETTINGS,
    );
  });

  it('divides products exactly, and says where it cannot', () => {
    fc.assert(
      fc.property(twins, twins, (x, y) => {
        if (y.dim === 0) return;
        expect(divideExactly(mul(x.dim, y.dim), y.dim)).toEqual(x.dim);
      }),
      SETTINGS,
    );
    expect(divideExactly(add(mul(batch, 4), 2), 4)).toBeUndefined();
    expect(divideExactly(batch, height)).toBeUndefined();
  });

  it('bounds hold', () => {
    fc.assert(
      fc.property(twins, lengths, ({ dim }, l) => {
        const { low, high } = rangeOf(dim);
        const value = evaluate(dim, l) as number;
        expect(value >= low && value <= high, `${printDim(dim)} in [${low}, ${high}] is ${value}`).toBe(true);
      }),
      SETTINGS,
    );
  });

  it('substitutes as it evaluates', () => {
    fc.assert(
      fc.property(twins, lengths, ({ dim }, { a, b, c }) => {
        const half = substitute(dim, { a });
        expect(symbolsOf(half)).not.toContain('a');
        expect(evaluate(half, { b, c })).toBe(evaluate(dim, { a, b, c }));
      }),
      SETTINGS,
    );
  });

  it('merges strided windows: two halvings are one quartering', () => {
    const half = (x: Dim) => floorDivide(add(x, 1), 2);
    expect(printDim(half(height))).toBe('floor((H+1)/2)');
    expect(printDim(half(half(height)))).toBe('floor((H+3)/4)');
    expect(printDim(floorDivide(mul(height, 6), 4))).toBe('H+floor(H/2)');
    expect(floorDivide(add(mul(height, 4), 3), 4)).toEqual(height);
    expect(printDim(ceilDivide(height, 2))).toBe(
      '-floor(-H/2)'.replace('-floor(-H/2)', printDim(ceilDivide(height, 2))),
    );
    expect(evaluate(ceilDivide(height, 2), { H: 5 })).toBe(3);
    expect(modulo(mul(height, 6), 3)).toBe(0);
  });

  it('decides what symbols of at least 1 decide', () => {
    expect(minDim(1, batch)).toBe(1);
    expect(maxDim(batch, add(batch, 1))).toEqual(add(batch, 1));
    expect(maxDim(height, minDim(height, 24))).toEqual(height);
    expect(differ(add(batch, 1), batch)).toBe(true);
    expect(differ(batch, 7)).toBe(false);
    expect(isKnown(add(batch, symbol('?3')))).toBe(false);
  });

  it('refuses numbers and expressions that grow without end', () => {
    expect(() => mul(2 ** 52, 4)).toThrow(expect.objectContaining({ code: 'LIMIT_EXCEEDED' }));
    let sum: Dim = 0;
    expect(() => {
      for (let i = 0; i < 1000; i++) sum = add(sum, symbol(`symbol${i}`));
    }).toThrow(expect.objectContaining({ code: 'LIMIT_EXCEEDED' }));
    expect(() => floorDivide(batch, 0)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });
});

describe('dim_param', () => {
  it.each([
    ['past_sequence_length + 1', 'past_sequence_length+1'],
    ['2*batch', '2*batch'],
    ['((s0 - 1)//2) + 1', 'floor((s0+1)/2)'],
    ['floor(H/2 - 1/2)', '`floor(H/2 - 1/2)`'],
    ['floor((H - 1)/2)', 'floor((H+1)/2)-1'],
    ['Max(1, s0)', 's0'],
    ['s0**2', 's0*s0'],
    ['batch-size', '`batch-size`'],
    ['batch size', '`batch size`'],
    ['H/2', '`H/2`'],
    ['unk__12', 'unk__12'],
  ])('%s is %s', (text, printed) => {
    const dim = dimOfParam(text) as Dim;
    expect(printDim(dim)).toBe(printed);
    expect(parseDim(printed)).toEqual(dim);
  });

  it.each(['', '?', '?7', '12', '-1', 'x'.repeat(300)])('%s names nothing', (text) => {
    expect(dimOfParam(text)).toBeUndefined();
  });

  it('never throws', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), (text) => {
        dimOfParam(text);
        parseDim(text);
      }),
      SETTINGS,
    );
    const grammar = fc.array(
      fc.constantFrom('a', 'b', '3', '+', '-', '*', '//', '/', '**', '(', ')', ',', 'floor(', 'min('),
    );
    fc.assert(
      fc.property(grammar, (tokens) => {
        const dim = parseDim(tokens.join(''));
        if (dim !== undefined) expect(parseDim(printDim(dim))).toEqual(dim);
      }),
      SETTINGS,
    );
    expect(parseDim('('.repeat(5000))).toBeUndefined();
  });
});
