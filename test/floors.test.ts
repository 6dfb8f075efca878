import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const SRC = fileURLToPath(new URL('../src', import.meta.url));

/** The floors of the house, lowest first; what stands on one line does not import its neighbours. */
const FLOORS = [
  ['errors'],
  ['limits', 'bytes', 'crc', 'table', 'tensor'],
  ['files', 'kernels'],
  ['onnx', 'entropy'],
  ['split', 'packet', 'runtime'],
  ['codec'],
  ['tasks'],
  ['network', 'device', 'edge'],
  ['halves', 'autodiff'],
  ['evaluate'],
  ['train', 'demo'],
  ['index', 'cli'],
];
const floorOf = new Map(FLOORS.flatMap((names, floor) => names.map((name) => [name, floor])));

const placeOf = (path: string) => relative(SRC, path).split(/[\\/]/)[0].replace(/\.ts$/, '');

it('imports point down the floors only', () => {
  const wrong: string[] = [];
  for (const entry of readdirSync(SRC, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
    const path = join(entry.parentPath, entry.name);
    const from = placeOf(path);
    expect(floorOf.has(from), `src/${from} stands on no floor`).toBe(true);
    const text = readFileSync(path, 'utf8');
    for (const [, target] of text.matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)) {
      const to = placeOf(resolve(dirname(path), target));
      if (to === from || to === '..') continue;
      if ((floorOf.get(to) ?? Infinity) >= (floorOf.get(from) as number))
        wrong.push(`${relative(SRC, path)} imports ${target}`);
    }
  }
  expect(wrong).toEqual([]);
});
