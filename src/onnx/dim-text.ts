import { add, type Dim, divideExactly, floorDivide, maxDim, minDim, mul, negate, sub, symbol } from './dim.ts';

/** Deep enough for what exporters write, shallow enough for the stack. */
const MAX_DEPTH = 32;
const TOKEN = /\s*(?:(\d+)|(`[^`]*`)|(\?\d+|\??[A-Za-z_][\w.:]*)|(\*\*|\/\/|[-+*/(),]))/y;

/**
 * Reads a dimension: what `printDim` writes, and what exporters write into `dim_param` (`past + 1`, `s0//2`,
 * `floor(H/2)`, `Max(1, s0)`). `undefined` for text that is no integer expression.
 */
export function parseDim(text: string): Dim | undefined {
  const tokens = tokenize(text);
  if (tokens === undefined) return undefined;
  const parser = new DimParser(tokens);
  try {
    const dim = parser.sum(0);
    return parser.done ? dim : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The dimension that a `dim_param` names: an expression where it reads as one, else one symbol of that name, such as
 * `batch-size`, which nobody means as a difference. `undefined` where it names nothing (empty, `?`, a number).
 */
export function dimOfParam(name: string): Dim | undefined {
  if (name.length === 0 || name.length > 200 || name.startsWith('?') || /^-?\d+$/.test(name.trim())) return undefined;
  if (/\w-[A-Za-z_]/.test(name)) return symbol(name);
  const dim = parseDim(name);
  return dim === undefined || typeof dim === 'number' ? symbol(name) : dim;
}

function tokenize(text: string): string[] | undefined {
  const tokens: string[] = [];
  const source = text.trim();
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < source.length) {
    const match = TOKEN.exec(source);
    if (match === null) return undefined;
    tokens.push(match[0].trim());
  }
  return tokens;
}

class DimParser {
  readonly #tokens: readonly string[];
  #at = 0;
  /** Divisions that do not come out even since the innermost `floor(` opened; they are only allowed there, and once. */
  #uneven = 0;

  constructor(tokens: readonly string[]) {
    this.#tokens = tokens;
  }

  /** Everything was read, and no division is left uneven outside a floor. */
  get done(): boolean {
    return this.#at === this.#tokens.length && this.#uneven === 0;
  }

  sum(depth: number): Dim {
    let value = this.#accept('-') ? negate(this.#product(depth)) : this.#product(depth);
    for (;;) {
      if (this.#accept('+')) value = add(value, this.#product(depth));
      else if (this.#accept('-')) value = sub(value, this.#product(depth));
      else return value;
    }
  }

  #product(depth: number): Dim {
    let value = this.#power(depth);
    for (;;) {
      if (this.#accept('*')) value = mul(value, this.#power(depth));
      else if (this.#accept('//')) value = floorDivide(value, this.#power(depth));
      else if (this.#accept('/')) value = this.#quotient(value, this.#power(depth));
      else return value;
    }
  }

  #quotient(a: Dim, b: Dim): Dim {
    const exact = divideExactly(a, b);
    if (exact === undefined) this.#uneven++;
    return exact ?? floorDivide(a, b);
  }

  #power(depth: number): Dim {
    const base = this.#factor(depth);
    if (!this.#accept('**')) return base;
    const exponent = Number(this.#next());
    if (!(exponent >= 0 && exponent <= 8)) throw new RangeError('exponent');
    return Array.from({ length: exponent }, () => base).reduce(mul, 1 as Dim);
  }

  #factor(depth: number): Dim {
    if (depth > MAX_DEPTH) throw new RangeError('depth');
    const token = this.#next();
    if (token === '(') return this.#closed(this.sum(depth + 1));
    if (/^\d/.test(token)) return Number(token);
    if (token.startsWith('`')) return symbol(token.slice(1, -1));
    if (!/^[?A-Za-z_]/.test(token)) throw new SyntaxError(token);
    if (!this.#accept('(')) return symbol(token);
    if (token === 'floor') return this.#floor(depth);
    if (!/^(?:min|max)$/i.test(token)) throw new SyntaxError(token);
    const pick = token.toLowerCase() === 'min' ? minDim : maxDim;
    let value = this.sum(depth + 1);
    while (this.#accept(',')) value = pick(value, this.sum(depth + 1));
    return this.#closed(value);
  }

  /** `floor(a/b)`, also `floor(a/b + c)`: right as long as one division only is uneven. */
  #floor(depth: number): Dim {
    const outside = this.#uneven;
    this.#uneven = 0;
    const value = this.#closed(this.sum(depth + 1));
    if (this.#uneven > 1) throw new SyntaxError('floor of several fractions');
    this.#uneven = outside;
    return value;
  }

  #closed(value: Dim): Dim {
    if (!this.#accept(')')) throw new SyntaxError(')');
    return value;
  }

  #accept(token: string): boolean {
    if (this.#tokens[this.#at] !== token) return false;
    this.#at++;
    return true;
  }

  #next(): string {
    const token = this.#tokens[this.#at++];
    if (token === undefined) throw new SyntaxError('end');
    return token;
  }
}
