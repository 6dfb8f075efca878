import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'tsdown';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bench, Cache, type Point } from '../../src/evaluate/index.ts';
import { openOnnxRuntimeNode } from '../../src/runtime/index.ts';
import config from '../../tsdown.config.ts';
import { ROOT } from '../runtime/built.ts';
import { makeTinySuite, TINY_CUT } from '../tasks/tiny-suite.ts';

/** Threads start from built files alone, so this builds what the source says now, below `node_modules`. */
describe('answering in threads', () => {
  const out = `${ROOT}node_modules/.cache/isthmus-evaluate-${process.pid}`;
  let built: typeof import('../../src/evaluate/index.ts');
  let dir: string;
  beforeAll(async () => {
    await build({
      ...config,
      config: false,
      cwd: ROOT,
      entry: ['src/evaluate/*.ts'],
      root: 'src',
      outDir: out,
      dts: false,
      logLevel: 'error',
    });
    built = await import(/* @vite-ignore */ pathToFileURL(`${out}/evaluate/index.js`).href);
    dir = await mkdtemp(join(tmpdir(), 'isthmus-threads-'));
    await makeTinySuite(dir);
  });
  afterAll(async () => {
    await rm(out, { recursive: true, force: true });
    await rm(dir, { recursive: true, force: true });
  });

  const options = {
    cuts: [TINY_CUT],
    ways: ['reference', 'device', 'webp', 'int8-deflate'] as const,
    open: openOnnxRuntimeNode,
  };
  const timeless = ({ headMs: _h, encodeMs: _e, decodeMs: _d, tailMs: _t, ...rest }: Point) => rest;

  it('gives the points that one thread gives', async () => {
    const alone = await bench({ ...options, dir, cache: new Cache(join(dir, 'cache-1')) });
    const opened: number[] = [];
    const together = await built.bench({
      ...options,
      dir,
      cache: new built.Cache(join(dir, 'cache-2')),
      parallel: 3,
      open: (model, how) => {
        opened.push(1);
        return openOnnxRuntimeNode(model, how);
      },
    });
    expect(together.points.map(timeless)).toEqual(alone.points.map(timeless));
    expect(together.run.runtime).toBe(alone.run.runtime);
    // Threads open their own models; what is opened here is the head, once for all tasks.
    expect(opened).toHaveLength(1);
  });

  it('stops when told to, and leaves nothing running', async () => {
    const stop = new AbortController();
    const { run, points } = await built.bench({
      ...options,
      dir,
      cache: new built.Cache(join(dir, 'cache-3')),
      ways: ['webp'],
      parallel: 2,
      signal: stop.signal,
      onPoint: () => stop.abort(),
    });
    expect(run.complete).toBe(false);
    expect(points).toHaveLength(1);
  });
});
