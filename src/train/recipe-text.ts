import {
  createScanner,
  findNodeAtLocation,
  type Node,
  type ParseError,
  parseTree,
  printParseErrorCode,
} from 'jsonc-parser';

/** Something wrong in a text, and where: characters from its start. */
export interface Problem {
  readonly offset: number;
  readonly message: string;
}

/** Where a value stands in a recipe: keys and indices from the top. */
export type Path = readonly (string | number)[];

/** A JSON text that was read, and where in it things stand. */
export interface RecipeText {
  readonly value: unknown;
  /** Where the value of a path begins; where it is lacking, the nearest object or array around that is there. */
  offsetOf(path: Path): number;
  /** Where a key of the object at `path` begins. */
  keyOffsetOf(path: Path, key: string): number;
}

/** What jsonc-parser calls its errors, said in words. */
const SYNTAX: Readonly<Record<string, string>> = {
  InvalidSymbol: 'this is no JSON value; texts stand in double quotes',
  InvalidNumberFormat: 'this is no number',
  PropertyNameExpected: 'a key in double quotes is expected here',
  ValueExpected: 'a value is expected here',
  ColonExpected: 'a colon is expected here',
  CommaExpected: 'a comma is expected here',
  CloseBraceExpected: 'a } is expected here',
  CloseBracketExpected: 'a ] is expected here',
  EndOfFileExpected: 'nothing is expected after the end of the recipe',
  InvalidCommentToken: 'this is no comment',
  UnexpectedEndOfComment: 'this comment does not end',
  UnexpectedEndOfString: 'this text does not end on its line',
  UnexpectedEndOfNumber: 'this number does not end',
  InvalidUnicode: 'after \\u stand four hexadecimal digits',
  InvalidEscapeCharacter: 'a backslash stands before one of " \\ / b f n r t u',
  InvalidCharacter: 'control characters in a text are written as \\u00XX',
};

/**
 * Reads JSON with comments and trailing commas (the form of VS Code's settings, `.jsonc`). Keys that come twice, `__proto__`
 * as a key and values within more than `nesting` others are problems too.
 */
export function readRecipeText(text: string, nesting: number): RecipeText | { readonly problems: readonly Problem[] } {
  const deep = tooDeep(text, nesting);
  if (deep !== undefined)
    return { problems: [{ offset: deep, message: `values nest more than ${nesting} deep here` }] };
  const errors: ParseError[] = [];
  const root = parseTree(text, errors, { allowTrailingComma: true });
  if (root === undefined || errors.length > 0) {
    // What follows the first error is often its echo.
    const [{ error, offset }] = errors;
    return { problems: [{ offset, message: SYNTAX[printParseErrorCode(error)] ?? 'this is no JSON' }] };
  }
  const problems: Problem[] = [];
  const value = contentOf(root, problems);
  if (problems.length > 0) return { problems };
  const offsetOf = (path: Path) => {
    for (let length = path.length; length > 0; length--) {
      const found = findNodeAtLocation(root, path.slice(0, length));
      if (found) return found.offset;
    }
    return root.offset;
  };
  const keyOffsetOf = (path: Path, key: string) => {
    const properties = findNodeAtLocation(root, [...path])?.children ?? [];
    return properties.find(({ children }) => children?.[0].value === key)?.offset ?? offsetOf(path);
  };
  return { value, offsetOf, keyOffsetOf };
}

/** Where values nest deeper than allowed; looked for before parsing, which recurses. */
function tooDeep(text: string, nesting: number): number | undefined {
  const scanner = createScanner(text, true);
  let depth = 0;
  for (scanner.scan(); scanner.getTokenOffset() < text.length; scanner.scan()) {
    const offset = scanner.getTokenOffset();
    // The first character tells a token's kind.
    if (text[offset] === '{' || text[offset] === '[') depth++;
    if (text[offset] === '}' || text[offset] === ']') depth--;
    if (depth > nesting) return offset;
  }
  return undefined;
}

function contentOf(node: Node, problems: Problem[]): unknown {
  if (node.type === 'array') return (node.children ?? []).map((child) => contentOf(child, problems));
  if (node.type !== 'object') return node.value;
  const entries = new Map<string, unknown>();
  for (const { offset, children = [] } of node.children ?? []) {
    const [{ value: key }, child] = children;
    if (key === '__proto__') problems.push({ offset, message: "'__proto__' cannot be a key" });
    else if (entries.has(key)) problems.push({ offset, message: `the key '${key}' stands here a second time` });
    entries.set(key, contentOf(child, problems));
  }
  return Object.fromEntries(entries);
}
