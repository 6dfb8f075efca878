import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { DEFAULT_LIMITS } from '../../src/limits.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const page = readFileSync(`${ROOT}docs/threats.md`, 'utf8');

it('names every cap with its default', () => {
  const caps = [...page.matchAll(/^\| `(\w+)` *\| (\d+) *\|/gm)].map(([, name, value]) => [name, Number(value)]);
  expect(Object.fromEntries(caps)).toEqual(DEFAULT_LIMITS);
});

it('names tests that exist, and as many faulty files as there are', () => {
  const tests = new Set([...page.matchAll(/`(test\/[^`]+)`/g)].map(([, path]) => path));
  expect(tests.size).toBeGreaterThan(10);
  for (const path of tests) expect(existsSync(ROOT + path), path).toBe(true);
  const manifest = JSON.parse(readFileSync(`${ROOT}fixtures/faulty/manifest.json`, 'utf8')) as unknown[];
  expect(Number(/holds (\d+) damaged/.exec(page)?.[1])).toBe(manifest.length);
});
