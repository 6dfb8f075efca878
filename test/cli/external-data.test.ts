import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { program } from '../../src/cli/main.ts';
import { rawCodec } from '../../src/codec/index.ts';
import { writeBeside } from '../../src/files.ts';
import { buildGraph, node, saveGraph } from '../../src/onnx/index.ts';
import { tensor } from '../../src/tensor.ts';

let dir: string;
const at = (name: string) => join(dir, name);

const model = buildGraph({
  opset: 17,
  inputs: [{ name: 'x', dtype: 'float32', shape: [1, 3, 8, 8] }],
  outputs: [{ name: 'y', dtype: 'float32', shape: [1, 4] }],
  nodes: [
    node('Conv', ['x', 'w'], ['c'], { kernel_shape: [3, 3] }),
    node('Relu', ['c'], ['r']),
    node('Flatten', ['r'], ['f']),
    node('MatMul', ['f', 'v'], ['y']),
  ],
  initializers: {
    w: tensor('float32', [16, 3, 3, 3], new Float32Array(432).fill(0.1)),
    v: tensor('float32', [576, 4], new Float32Array(2304).fill(0.01)),
  },
});

/** What a command prints. */
async function run(...args: string[]): Promise<string> {
  const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
  try {
    await program().parseAsync(args, { from: 'user' });
    return write.mock.calls.map(([text]) => String(text)).join('');
  } finally {
    write.mockRestore();
  }
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'isthmus-external-'));
  await saveGraph(model, at('model.onnx'), { externalData: { threshold: 0 } });
  await sharp({ create: { width: 8, height: 8, channels: 3, background: '#804020' } }).toFile(at('photo.png'));
  const source = { features: [{ name: 'r', dtype: 'float32' as const, shape: [1, 16, 6, 6] }] };
  await writeBeside(at('raw.codec'), [rawCodec('raw-f32', source).toBytes()]);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('a model with external data', () => {
  it('goes through every command that takes a model, where that is asked for', async () => {
    const cuts = JSON.parse(await run('cuts', at('model.onnx'), '--external-data', '--all', '--json'));
    expect(cuts.map((cut: { tensors: [{ name: string }] }) => cut.tensors[0].name)).toContain('r');
    await run('split', at('model.onnx'), '--external-data', '--at', 'r', '--out', dir);
    const inspected = JSON.parse(await run('inspect', at('head.onnx'), '--external-data', '--json'));
    expect(inspected.facts.parameters).toBe(432);
    expect(inspected.items[0]).toMatchObject({ what: 'w' });
    expect(inspected.items[0].bytes).toBeGreaterThanOrEqual(1728);
    expect(inspected.items.reduce((sum: number, item: { bytes: number }) => sum + item.bytes, 0)).toBe(inspected.bytes);
    await run(
      ...['encode', at('photo.png'), '--head', at('head.onnx'), '--external-data'],
      ...['--codec', at('raw.codec'), '--out', at('packet')],
    );
    expect(await run('inspect', at('packet'))).toContain('packet, 2313 bytes');
  });

  it('is refused by them all where it is not', async () => {
    const refused = { code: 'ONNX_EXTERNAL_DATA' };
    await expect(run('cuts', at('model.onnx'))).rejects.toMatchObject(refused);
    await expect(run('split', at('model.onnx'), '--at', 'r', '--out', dir)).rejects.toMatchObject(refused);
    await expect(run('inspect', at('model.onnx'))).rejects.toMatchObject(refused);
    const encode = ['encode', at('photo.png'), '--codec', at('raw.codec'), '--out', at('other')];
    await expect(run(...encode, '--head', at('model.onnx'))).rejects.toMatchObject(refused);
  });
});
