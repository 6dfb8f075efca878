import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const startOf = (floor: string) => fileURLToPath(new URL(`../../src/${floor}/index.ts`, import.meta.url));

/** Every module that a file imports at once, and those that these import. */
async function importsOf(file: string, seen = new Map<string, string[]>()): Promise<Map<string, string[]>> {
  const source = await readFile(file, 'utf8');
  const names = [...source.matchAll(/^(?:import|export)\s(?!type\b)[^;]*?\bfrom '([^']+)'|^import '([^']+)'/gms)].map(
    (match) => match[1] ?? match[2],
  );
  seen.set(file, names);
  for (const name of names) {
    const next = join(dirname(file), name);
    if (name.startsWith('.') && !seen.has(next)) await importsOf(next, seen);
  }
  return seen;
}

describe.each(['runtime', 'codec'])('isthmus/%s in a browser', (floor) => {
  it('imports neither Node modules nor peers before they are needed', async () => {
    const imports = await importsOf(startOf(floor));
    expect(imports.size).toBeGreaterThan(10);
    const packages = [...imports.values()].flat().filter((name) => !name.startsWith('.'));
    expect(packages.filter((name) => /^node:|onnxruntime|tensorflow|sharp/.test(name))).toEqual([]);
  });
});
