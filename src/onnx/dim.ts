import { IsthmusError } from '../errors.ts';

/**
 * A dimension: a whole number, or an integer expression over symbols such as `batch`.
 *
 * An expression is kept in one canonical form: a sum of monomials with integer coefficients, whose factors are symbols
 * and the opaque atoms `floor(a/b)`, `min(a,b)` and `max(a,b)`, themselves canonical. Two expressions built by the ring
 * operations are equal exactly when their texts are. A symbol stands for a length of at least 1; one that starts with
 * `?` is a length that nobody knows, of at least 0.
 */
export type Dim = number | Expression;

export interface Expression {
  /** Sorted: higher degree first, then by name; the constant term last. */
  readonly terms: readonly Term[];
  /** Canonical short form, such as `4*batch` or `floor((H+1)/2)`. */
  readonly text: string;
}

interface Term {
  readonly coefficient: number;
  readonly factors: readonly Atom[];
}

interface Range {
  /** Bounds of the value, with every symbol inside its own. */
  readonly low: number;
  readonly high: number;
}

type Atom = Range & { readonly text: string } & (
    | { readonly kind: 'symbol'; readonly name: string }
    | { readonly kind: 'floor'; readonly over: Dim; readonly by: Dim }
    | { readonly kind: 'min' | 'max'; readonly of: readonly Dim[] }
  );

/** Expressions of real exports have a few terms; the caps keep hostile graphs from growing them without end. */
const MAX_TERMS = 64;
const MAX_TEXT = 1_000;

const IDENTIFIER = /^\??[A-Za-z_][\w.:]*$|^\?\d+$/;

/** The symbol of that name. Throws `LIMIT_EXCEEDED` for a name of more than 200 characters. */
export function symbol(name: string): Expression {
  if (name.length > 200) throw tooLarge(`the symbol ${name.slice(0, 40)}…`);
  const text = IDENTIFIER.test(name) ? name : `\`${name.replaceAll('`', "'")}\``;
  const low = name.startsWith('?') ? 0 : 1;
  return ofAtom({ kind: 'symbol', name, text, low, high: Number.POSITIVE_INFINITY });
}

/** The short text of a dimension; {@link parseDim} reads it back. */
export function printDim(dim: Dim): string {
  return typeof dim === 'number' ? String(dim) : dim.text;
}

/** `[batch,197,192]`, for messages. */
export function printShape(shape: readonly Dim[]): string {
  return `[${shape.map(printDim).join(',')}]`;
}

export function sameDim(a: Dim, b: Dim): boolean {
  return typeof a === 'number' || typeof b === 'number' ? a === b : a.text === b.text;
}

/** Do the two differ by a constant, so that they are never equal, whatever the symbols (even 0)? */
export function differ(a: Dim, b: Dim): boolean {
  const gap = sub(a, b);
  return typeof gap === 'number' && gap !== 0;
}

/** False where the dimension depends on a length that nobody knows (a symbol that starts with `?`). */
export function isKnown(dim: Dim): boolean {
  return symbolsOf(dim).every((name) => !name.startsWith('?'));
}

/** Names of the symbols in a dimension, each once. */
export function symbolsOf(dim: Dim): string[] {
  const names = new Set<string>();
  collect(dim, names);
  return [...names];
}

function collect(dim: Dim, names: Set<string>): void {
  if (typeof dim === 'number') return;
  for (const { factors } of dim.terms) {
    for (const atom of factors) {
      if (atom.kind === 'symbol') names.add(atom.name);
      else for (const part of atom.kind === 'floor' ? [atom.over, atom.by] : atom.of) collect(part, names);
    }
  }
}

/** Sum. Throws `LIMIT_EXCEEDED` where a coefficient leaves the safe integers or the expression grows past its cap. */
export function add(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return safe(a + b);
  const sum = new Map<string, Term>();
  for (const term of [...termsOf(a), ...termsOf(b)]) accumulate(sum, term);
  return ofTerms(sum);
}

export function negate(a: Dim): Dim {
  return mul(a, -1);
}

export function sub(a: Dim, b: Dim): Dim {
  return add(a, negate(b));
}

/** Product; throws as {@link add}. */
export function mul(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return safe(a * b);
  const left = termsOf(a);
  const right = termsOf(b);
  if (left.length * right.length > MAX_TERMS * MAX_TERMS) throw tooLarge('a product');
  const product = new Map<string, Term>();
  for (const x of left) {
    for (const y of right) {
      const factors = [...x.factors, ...y.factors].sort(byText);
      accumulate(product, { coefficient: safe(x.coefficient * y.coefficient), factors });
    }
  }
  return ofTerms(product);
}

/** Product of dimensions; 1 for none. */
export function product(dims: readonly Dim[]): Dim {
  return dims.reduce(mul, 1);
}

/** The quotient where `b` divides `a` for every value of the symbols, else `undefined`. */
export function divideExactly(a: Dim, b: Dim): Dim | undefined {
  if (b === 0) return undefined;
  if (typeof a === 'number' && typeof b === 'number') return a % b === 0 ? safe(a / b) : undefined;
  // Long division by leading terms; the term order is graded lexicographic, so each step lowers the leading term.
  const [lead] = termsOf(b);
  let rest = a;
  let quotient: Dim = 0;
  for (let step = 0; step < MAX_TERMS; step++) {
    if (rest === 0) return quotient;
    const [top] = termsOf(rest);
    const factors = without(top.factors, lead.factors);
    if (factors === undefined || top.coefficient % lead.coefficient !== 0) return undefined;
    const part = ofTerms(new Map([['', { coefficient: top.coefficient / lead.coefficient, factors }]]));
    quotient = add(quotient, part);
    rest = sub(rest, mul(part, b));
  }
  return undefined;
}

/** `floor(a / b)`, exact. Throws `INVALID_ARGUMENT` for `b` = 0. */
export function floorDivide(a: Dim, b: Dim): Dim {
  if (b === 0) throw new IsthmusError('INVALID_ARGUMENT', `${printDim(a)} is divided by 0`);
  const exact = divideExactly(a, b);
  if (exact !== undefined) return exact;
  if (typeof b !== 'number') return floorAtom(a, b);
  if (b < 0) return floorDivide(negate(a), -b);
  if (typeof a === 'number') return safe(Math.floor(a / b));
  // floor((b*q + r) / b) = q + floor(r / b), with every coefficient of r in [0, b).
  let whole: Dim = 0;
  let rest: Dim = 0;
  for (const { coefficient, factors } of a.terms) {
    const q = Math.floor(coefficient / b);
    if (q !== 0) whole = add(whole, ofTerms(new Map([['', { coefficient: q, factors }]])));
    const r = coefficient - q * b;
    if (r !== 0) rest = add(rest, ofTerms(new Map([['', { coefficient: r, factors }]])));
  }
  return add(whole, floorReduced(rest, b));
}

/** floor of an expression whose coefficients lie in [0, b): takes out the common divisor, and merges nested floors. */
function floorReduced(a: Dim, b: number): Dim {
  if (typeof a === 'number') return Math.floor(a / b);
  const constant = constantOf(a);
  const variable = a.terms.filter((term) => term.factors.length > 0);
  const common = variable.reduce((g, term) => gcd(g, term.coefficient), b);
  if (common > 1) {
    // floor((g*x + c) / (g*m)) = floor((x + floor(c/g)) / m)
    const scaled = divideExactly(sub(a, constant), common) as Dim;
    return floorDivide(add(scaled, Math.floor(constant / common)), b / common);
  }
  const [first] = variable;
  if (variable.length === 1 && first.coefficient === 1 && first.factors.length === 1) {
    const [inner] = first.factors;
    if (inner.kind === 'floor' && typeof inner.by === 'number') {
      // floor((floor(x/n) + c) / b) = floor((x + n*c) / (n*b))
      return floorDivide(add(inner.over, safe(inner.by * constant)), safe(inner.by * b));
    }
  }
  return floorAtom(a, b);
}

/** `ceil(a / b)`. */
export function ceilDivide(a: Dim, b: Dim): Dim {
  return negate(floorDivide(negate(a), b));
}

/** The remainder with the divisor's sign, `a - b * floor(a / b)`. */
export function modulo(a: Dim, b: Dim): Dim {
  return sub(a, mul(b, floorDivide(a, b)));
}

export function minDim(a: Dim, b: Dim): Dim {
  return extreme('min', a, b);
}

export function maxDim(a: Dim, b: Dim): Dim {
  return extreme('max', a, b);
}

/** The dimension with some symbols replaced. */
export function substitute(dim: Dim, bindings: Readonly<Record<string, Dim>>): Dim {
  if (typeof dim === 'number') return dim;
  let sum: Dim = 0;
  for (const { coefficient, factors } of dim.terms) {
    let value: Dim = coefficient;
    for (const atom of factors) value = mul(value, substituteAtom(atom, bindings));
    sum = add(sum, value);
  }
  return sum;
}

function substituteAtom(atom: Atom, bindings: Readonly<Record<string, Dim>>): Dim {
  if (atom.kind === 'symbol') return Object.hasOwn(bindings, atom.name) ? bindings[atom.name] : ofAtom(atom);
  if (atom.kind === 'floor') return floorDivide(substitute(atom.over, bindings), substitute(atom.by, bindings));
  return atom.of.map((part) => substitute(part, bindings)).reduce((a, b) => extreme(atom.kind, a, b));
}

/** The number that a dimension is with these lengths; `undefined` where a symbol has none. */
export function evaluate(dim: Dim, bindings: Readonly<Record<string, number>>): number | undefined {
  const value = substitute(dim, bindings);
  return typeof value === 'number' ? value : undefined;
}

/** Bounds of a dimension, each symbol being at least 1 (at least 0 for unknown ones). */
export function rangeOf(dim: Dim): Range {
  let low = 0;
  let high = 0;
  for (const { coefficient, factors } of termsOf(dim)) {
    let least = 1;
    let most = 1;
    for (const atom of factors) {
      if (atom.low < 0) return { low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY };
      least *= atom.low;
      most = atom.high === 0 ? 0 : most * atom.high;
    }
    if (Number.isNaN(most)) most = Number.POSITIVE_INFINITY;
    low += coefficient > 0 ? coefficient * least : coefficient * most;
    high += coefficient > 0 ? coefficient * most : coefficient * least;
  }
  return { low, high };
}

function extreme(kind: 'min' | 'max', a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return kind === 'min' ? Math.min(a, b) : Math.max(a, b);
  const parts: Dim[] = [];
  for (const part of [...partsOf(kind, a), ...partsOf(kind, b)]) {
    if (parts.some((kept) => dominates(kind, kept, part))) continue;
    for (let i = parts.length - 1; i >= 0; i--) if (dominates(kind, part, parts[i])) parts.splice(i, 1);
    parts.push(part);
  }
  if (parts.length === 1) return parts[0];
  if (parts.length > MAX_TERMS) throw tooLarge(`a ${kind}imum`);
  parts.sort((x, y) => compareText(printDim(x), printDim(y)));
  const ranges = parts.map(rangeOf);
  const pick = kind === 'min' ? Math.min : Math.max;
  return ofAtom({
    kind,
    of: parts,
    text: `${kind}(${parts.map(printDim).join(',')})`,
    low: pick(...ranges.map((range) => range.low)),
    high: pick(...ranges.map((range) => range.high)),
  });
}

/** Does `a` make `b` superfluous in min(a, b) or max(a, b)? */
function dominates(kind: 'min' | 'max', a: Dim, b: Dim): boolean {
  if (sameDim(a, b)) return true;
  // max(x, min(x, y)) = x and min(x, max(x, y)) = x
  if (partsOf(kind === 'min' ? 'max' : 'min', b).some((part) => sameDim(part, a))) return true;
  const { low, high } = rangeOf(sub(b, a));
  return kind === 'min' ? low >= 0 : high <= 0;
}

function partsOf(kind: 'min' | 'max', dim: Dim): readonly Dim[] {
  if (typeof dim === 'number' || dim.terms.length !== 1) return [dim];
  const [{ coefficient, factors }] = dim.terms;
  const [atom] = factors;
  return coefficient === 1 && factors.length === 1 && atom.kind === kind ? atom.of : [dim];
}

function floorAtom(over: Dim, by: Dim): Dim {
  const a = rangeOf(over);
  const b = rangeOf(by);
  const bounded = a.low >= 0 && b.low >= 0;
  return ofAtom({
    kind: 'floor',
    over,
    by,
    text: `floor(${operand(over)}/${operand(by)})`,
    low: bounded ? (b.high === Number.POSITIVE_INFINITY ? 0 : Math.floor(a.low / b.high)) : Number.NEGATIVE_INFINITY,
    high: bounded ? Math.floor(a.high / Math.max(1, b.low)) : Number.POSITIVE_INFINITY,
  });
}

function operand(dim: Dim): string {
  if (typeof dim === 'number') return String(dim);
  const [{ coefficient, factors }] = dim.terms;
  return dim.terms.length === 1 && coefficient === 1 && factors.length === 1 ? dim.text : `(${dim.text})`;
}

function constantOf(dim: Expression): number {
  const last = dim.terms[dim.terms.length - 1];
  return last.factors.length === 0 ? last.coefficient : 0;
}

function termsOf(dim: Dim): readonly Term[] {
  if (typeof dim !== 'number') return dim.terms;
  return dim === 0 ? [] : [{ coefficient: dim, factors: [] }];
}

function accumulate(sum: Map<string, Term>, term: Term): void {
  const key = term.factors.map((atom) => atom.text).join('*');
  const before = sum.get(key)?.coefficient ?? 0;
  sum.set(key, { coefficient: safe(before + term.coefficient), factors: term.factors });
}

function ofAtom(atom: Atom): Expression {
  return { terms: [{ coefficient: 1, factors: [atom] }], text: checkedText(atom.text) };
}

function ofTerms(sum: ReadonlyMap<string, Term>): Dim {
  const terms = [...sum.values()].filter((term) => term.coefficient !== 0).sort(compareTerms);
  if (terms.length === 0) return 0;
  if (terms[0].factors.length === 0) return terms[0].coefficient;
  if (terms.length > MAX_TERMS) throw tooLarge('a sum');
  return { terms, text: checkedText(terms.map(printTerm).join('').replace(/^\+/, '')) };
}

function printTerm({ coefficient, factors }: Term): string {
  const sign = coefficient < 0 ? '-' : '+';
  const size = Math.abs(coefficient);
  const parts = factors.map((atom) => atom.text);
  if (size !== 1 || parts.length === 0) parts.unshift(String(size));
  return sign + parts.join('*');
}

function compareTerms(a: Term, b: Term): number {
  if (a.factors.length !== b.factors.length) return b.factors.length - a.factors.length;
  for (let i = 0; i < a.factors.length; i++) {
    const order = byText(a.factors[i], b.factors[i]);
    if (order !== 0) return order;
  }
  return 0;
}

function byText(a: Atom, b: Atom): number {
  return compareText(a.text, b.text);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The factors of `a` that are left when those of `b` are taken out; `undefined` where one is missing. */
function without(a: readonly Atom[], b: readonly Atom[]): Atom[] | undefined {
  const rest = [...a];
  for (const atom of b) {
    const at = rest.findIndex((other) => other.text === atom.text);
    if (at < 0) return undefined;
    rest.splice(at, 1);
  }
  return rest;
}

function gcd(a: number, b: number): number {
  let [x, y] = [Math.abs(a), Math.abs(b)];
  while (y !== 0) [x, y] = [y, x % y];
  return x;
}

function safe(value: number): number {
  if (!Number.isSafeInteger(value)) throw tooLarge(`${value}`);
  return value === 0 ? 0 : value;
}

function checkedText(text: string): string {
  if (text.length > MAX_TEXT) throw tooLarge(`the expression ${text.slice(0, 40)}…`);
  return text;
}

function tooLarge(what: string): IsthmusError {
  return new IsthmusError('LIMIT_EXCEEDED', `${what} is too large for the arithmetic of dimensions`);
}
