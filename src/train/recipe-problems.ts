import { z } from 'zod';
import { nearest } from '../split/nearest.ts';
import type { Path, Problem, RecipeText } from './recipe-text.ts';

type Form = z.core.JSONSchema.JSONSchema;
type Issue = z.core.$ZodIssue;

/** Longest piece of a recipe that a message repeats. */
const SHOWN = 40;

/** What kinds of values are called. */
const KINDS: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'an object',
  record: 'an object',
  array: 'an array',
  tuple: 'an array',
  null: 'null',
};

/** What zod finds wrong with a recipe, in words that name what is allowed, and where each stands in the text. */
export function problemsOf(issues: readonly Issue[], schema: z.ZodType, text: RecipeText): Problem[] {
  const form = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  return issues.flatMap((issue) => problemsOfIssue(issue, [], form, text));
}

function problemsOfIssue(issue: Issue, before: Path, form: Form, text: RecipeText): Problem[] {
  const path = [...before, ...(issue.path as (string | number)[])];
  if (issue.code === 'unrecognized_keys') {
    const known = keysOf(formsAt(form, path, text.value, form));
    return issue.keys.map((key) => ({ offset: text.keyOffsetOf(path, key), message: unknownKey(key, path, known) }));
  }
  if (issue.code === 'invalid_union') {
    const branch = likeliest(issue.errors);
    if (branch) return branch.flatMap((each) => problemsOfIssue(each, path, form, text));
  }
  return [{ offset: text.offsetOf(path), message: messageFor(issue, path, text.value) }];
}

/** The branch of a union whose kind of value was given, the one with the fewest issues; none where no kind fits. */
function likeliest(branches: readonly (readonly Issue[])[]): readonly Issue[] | undefined {
  const otherKind = ({ code, path }: Issue) => path.length === 0 && ['invalid_type', 'invalid_value'].includes(code);
  return branches.filter((issues) => !issues.some(otherKind)).toSorted((a, b) => a.length - b.length)[0];
}

function unknownKey(key: string, path: Path, known: readonly string[]): string {
  const [meant] = nearest(key, known);
  const advice = meant === undefined ? '' : `; did you mean '${meant}'?`;
  return `${nameOf(path)} has no key '${cut(key)}'; it takes ${known.join(', ') || 'none'}${advice}`;
}

function messageFor(issue: Issue, path: Path, recipe: unknown): string {
  const given = path.reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], recipe);
  const allowed = allowedBy(issue);
  if (given === undefined && path.length > 0) {
    const lacking = `${nameOf(path.slice(0, -1))} needs the key '${path[path.length - 1]}'`;
    return allowed === undefined ? lacking : `${lacking}: ${allowed}`;
  }
  if (allowed === undefined) return `${nameOf(path)}: ${issue.message}`;
  const [meant] = typeof given === 'string' ? nearest(given, textsOf(issue)) : [];
  const advice = meant === undefined ? '' : `; did you mean "${meant}"?`;
  return `${nameOf(path)} is ${shown(given)}; it takes ${allowed}${advice}`;
}

/** What would have been right; undefined where the issue's own message says it. */
function allowedBy(issue: Issue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return KINDS[issue.expected] ?? issue.expected;
    case 'invalid_value':
      return issue.values.map((value) => JSON.stringify(value)).join(', ');
    case 'too_small':
      return `${issue.inclusive ? 'at least' : 'more than'} ${issue.minimum}${unitOf(issue.origin)}`;
    case 'too_big':
      return `${issue.inclusive ? 'at most' : 'less than'} ${issue.maximum}${unitOf(issue.origin)}`;
    case 'invalid_union': {
      const options = textsOf(issue).map((text) => JSON.stringify(text));
      if (options.length > 0) return options.join(', ');
      return [...new Set(issue.errors.flatMap(([first]) => allowedBy(first) ?? []))].join(' or ');
    }
    default:
      return undefined;
  }
}

/** The texts that could stand there, of an enumeration or of the key that tells a union's branches apart. */
function textsOf(issue: Issue): string[] {
  const { values, options, errors } = issue as { values?: unknown[]; options?: unknown[]; errors?: unknown[] };
  return [...(values ?? []), ...(errors?.length === 0 ? (options ?? []) : [])].filter(
    (each) => typeof each === 'string',
  );
}

function unitOf(origin: string): string {
  if (origin === 'string') return ' characters';
  return origin === 'array' ? ' values' : '';
}

function nameOf(path: Path): string {
  return path.length === 0 ? 'the recipe' : `'${cut(z.core.toDotPath(path))}'`;
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' && value !== null ? 'an object' : cut(JSON.stringify(value));
}

function cut(text: string): string {
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
}

/** The forms that a value at a path may have, those left out that other constants than the recipe's set apart. */
function formsAt(form: Form, path: Path, value: unknown, root: Form): Form[] {
  const forms = branchesOf(form, value, root);
  if (path.length === 0) return forms;
  const [key, ...rest] = path;
  const inner = (value as Record<string, unknown> | undefined)?.[key];
  return forms.flatMap(({ properties, additionalProperties, items, prefixItems }) => {
    const next = typeof key === 'number' ? (prefixItems?.[key] ?? items) : (properties?.[key] ?? additionalProperties);
    return typeof next === 'object' && !Array.isArray(next) ? formsAt(next, rest, inner, root) : [];
  });
}

/** A form without references and unions: all that it may be. */
function branchesOf(form: Form, value: unknown, root: Form): Form[] {
  if (form.$ref !== undefined) {
    const target = form.$ref === '#' ? root : root.$defs?.[form.$ref.replace('#/$defs/', '')];
    return target === undefined ? [] : branchesOf(target, value, root);
  }
  const branches = [...(form.anyOf ?? []), ...(form.oneOf ?? []), ...(form.allOf ?? [])];
  if (branches.length === 0) return [form];
  return (branches as Form[]).flatMap((each) => branchesOf(each, value, root)).filter((each) => agrees(each, value));
}

function agrees({ properties = {} }: Form, value: unknown): boolean {
  return Object.entries(properties).every(([key, of]) => {
    const given = (value as Record<string, unknown> | undefined)?.[key];
    return typeof of !== 'object' || of.const === undefined || given === undefined || of.const === given;
  });
}

function keysOf(forms: readonly Form[]): string[] {
  return [...new Set(forms.flatMap(({ properties = {} }) => Object.keys(properties)))];
}
