import { spawnSync } from 'node:child_process';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readCodec } from '../../src/codec/index.ts';
import { DEFAULT_LIMITS } from '../../src/limits.ts';
import { readGraph } from '../../src/onnx/index.ts';
import { identity, sealPacket } from '../../src/packet/index.ts';
import { MAIN } from '../cli/run.ts';
import { uniforms } from '../codec/features.ts';
import { manifestOf, openNodePath, pictureOf, post, type Served, serveTiny } from './served.ts';

let served: Served;
let node: Awaited<ReturnType<typeof openNodePath>>;
/** A packet of each codec for the first picture. */
let packets: Uint8Array[];

beforeAll(async () => {
  served = await serveTiny();
  node = await openNodePath(served.dir, served.codecs);
  const picture = await pictureOf(served.dir, '0000.png');
  packets = await Promise.all(served.codecs.map(({ id }) => node.encode(id, picture)));
});
afterAll(() => served?.remove());

/** A request as no browser and no fetch would send it. */
function raw(path: string, headers: Record<string, string>, method = 'GET'): Promise<{ status: number; body: string }> {
  const { hostname, port } = new URL(served.url);
  return new Promise((resolve, reject) => {
    const sent = request({ hostname, port, path, method, headers }, (response) => {
      let body = '';
      response.on('data', (part) => {
        body += part;
      });
      response.on('end', () => resolve({ status: response.statusCode as number, body }));
    });
    sent.on('error', reject);
    sent.end();
  });
}

describe('what the demo serves', () => {
  it('a page under a strict policy, isolated from other origins, and the runtime that it loads', async () => {
    const page = await fetch(served.url);
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
    const policy = page.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self' 'wasm-unsafe-eval'");
    expect(policy).not.toContain('unsafe-inline');
    expect(page.headers.get('cross-origin-opener-policy')).toBe('same-origin');
    expect(page.headers.get('cross-origin-embedder-policy')).toBe('require-corp');
    expect(page.headers.get('x-content-type-options')).toBe('nosniff');
    const text = await page.text();
    const names = [...text.matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(([, name]) => name);
    expect(names.length).toBeGreaterThan(1);
    const runtime = ['ort.wasm.min.mjs', 'ort-wasm-simd-threaded.mjs', 'ort-wasm-simd-threaded.wasm'];
    for (const name of [...names, '/device-worker.js', ...runtime.map((file) => `/runtime/${file}`)]) {
      const response = await fetch(new URL(name, served.url));
      expect(response.status, name).toBe(200);
      expect(response.headers.get('cross-origin-embedder-policy'), name).toBe('require-corp');
      expect(response.headers.get('content-type'), name).toMatch(/javascript|css|wasm/);
      await response.arrayBuffer();
    }
  });

  it('a manifest of what there is, and all that it names', async () => {
    const manifest = await manifestOf(served.url);
    expect(manifest).toMatchObject({
      suite: 'tiny',
      input: { width: 32, height: 32 },
      tasks: ['classification', 'captioning', 'vqa'],
      scenes: false,
      limits: { questionCharacters: DEFAULT_LIMITS.questionCharacters, imagePixels: DEFAULT_LIMITS.imagePixels },
    });
    expect(manifest.codecs.map(({ id }) => id)).toEqual(served.codecs.map(({ id }) => identity(id)));
    const bytes = async (url: string) => new Uint8Array(await (await fetch(new URL(url, served.url))).arrayBuffer());
    for (const [i, codec] of manifest.codecs.entries()) {
      expect(codec).toMatchObject({
        cut: 'after block 1',
        tasks: manifest.tasks,
        name: expect.stringMatching(/^step-/),
      });
      expect(codec.headShare).toBeGreaterThan(0);
      expect(codec.headShare).toBeLessThan(1);
      expect(readCodec(await bytes(codec.url)).id).toBe(served.codecs[i].id);
      expect(readGraph(await bytes(codec.head.url)).graph).toBeDefined();
    }
    expect(new Set(manifest.codecs.map(({ head }) => head.url)).size).toBe(1);
    expect(manifest.pictures).toHaveLength(8);
    expect(manifest.pictures[0]).toMatchObject({ name: '0000.png', questions: ['what colour is it'] });
    expect(await bytes(manifest.pictures[0].url)).toEqual(await pictureOf(served.dir, '0000.png'));
  });

  it('answers of all tasks from one packet, as both halves in one process give them', async () => {
    for (const name of ['0000.png', '0001.jpg', '0002.png']) {
      for (const { id } of served.codecs) {
        const packet = await node.encode(id, await pictureOf(served.dir, name));
        const question = 'what colour is the square';
        const { status, body } = await post(served.url, { packet, question });
        expect(status).toBe(200);
        const wanted = await node.answer(id, packet, question);
        expect(body.codec).toBe(identity(id));
        expect(body.bytes).toBe(packet.length);
        expect(body.answers.classification?.top.map(({ index }) => index)).toEqual(
          wanted.classification.top.map(({ index }) => index),
        );
        expect(body.answers.classification?.probability).toBeCloseTo(wanted.classification.probability, 4);
        expect(body.answers.captioning?.caption).toBe(wanted.captioning.caption);
        expect(body.answers.vqa?.answer).toBe(wanted.vqa.answer);
        expect(body.times.tailMs.vqa).toBeGreaterThan(0);
      }
    }
  });

  it('no answer to a question that was not asked', async () => {
    const [packet] = packets;
    for (const { body } of [await post(served.url, { packet }), await post(served.url, { packet, question: '  ' })]) {
      expect(Object.keys(body.answers)).toEqual(['classification', 'captioning']);
    }
  });
});

describe('what the demo refuses', () => {
  const refused = async (fields: Readonly<Record<string, Uint8Array | string>>) => {
    const { status, body } = await post(served.url, fields);
    return { status, ...body.error };
  };

  it('damaged packets, each by its name', async () => {
    const [packet] = packets;
    const flipped = packet.slice();
    flipped[20] ^= 1;
    const cases: [Uint8Array, string][] = [
      [new Uint8Array(), 'PACKET_EMPTY'],
      [packet.subarray(0, packet.length - 1), 'PACKET_TRUNCATED'],
      [flipped, 'PACKET_CORRUPT'],
      [sealPacket(served.codecs[0].id, new Uint8Array(40)), 'PACKET_CORRUPT'],
      [sealPacket(1234, packet.subarray(9)), 'PACKET_FOREIGN'],
      [new TextEncoder().encode('<!doctype html>'), 'PACKET_VERSION'],
    ];
    for (const [bytes, code] of cases) expect(await refused({ packet: bytes })).toMatchObject({ status: 422, code });
  });

  it('a packet above what the codecs can make, and a body far above that', async () => {
    expect(await refused({ packet: new Uint8Array(20_000) })).toMatchObject({ status: 413, code: 'LIMIT_EXCEEDED' });
    expect(await refused({ packet: new Uint8Array(4_000_000) })).toMatchObject({ status: 413, code: 'TOO_LARGE' });
  });

  it('a question of 10,000 characters, which is told', async () => {
    const question = '𝄞é?'.repeat(2500);
    expect(question).toHaveLength(10_000);
    expect(await refused({ packet: packets[0], question })).toEqual({
      status: 413,
      code: 'LIMIT_EXCEEDED',
      message: 'the question has 10000 characters, and 1000 are the most; shorten it',
    });
  });

  it('forms that are none', async () => {
    expect(await refused({})).toMatchObject({ status: 400, code: 'REQUEST_INVALID' });
    expect(await refused({ packet: 'text' })).toMatchObject({ status: 400, code: 'REQUEST_INVALID' });
    expect(await refused({ packet: packets[0], question: packets[1] })).toMatchObject({
      status: 400,
      code: 'REQUEST_INVALID',
    });
    for (const type of ['application/json', 'multipart/form-data; boundary=x', 'multipart/form-data']) {
      const response = await fetch(`${served.url}api/answer`, {
        method: 'POST',
        body: '--y\r\nnothing',
        headers: { 'content-type': type },
      });
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({ error: { code: 'REQUEST_INVALID' } });
    }
  });

  it('addresses at which nothing is, files of the machine among them', async () => {
    for (const path of [
      '/nothing',
      '/api/nothing',
      '/api/pictures/99',
      '/api/pictures/-1',
      '/api/pictures/x',
      '/api/heads/0.onnx',
    ]) {
      const response = await fetch(new URL(path, served.url));
      expect(response.status, path).toBe(404);
      expect(await response.json()).toMatchObject({ error: { code: 'NOT_FOUND' } });
    }
    for (const path of [
      '/../package.json',
      '/..%2fpackage.json',
      '/runtime/../../../package.json',
      '/api/pictures/..%2f..',
    ]) {
      expect((await raw(path, { host: 'localhost' })).status, path).toBe(404);
    }
  });

  it('requests under a foreign name, and those that a foreign page starts', async () => {
    for (const host of ['evil.example', 'evil.example:80', 'localhost.evil.example', '127.0.0.1.evil.example']) {
      const { status, body } = await raw('/api/manifest', { host });
      expect(status, host).toBe(403);
      expect(JSON.parse(body).error.code).toBe('REQUEST_FOREIGN');
    }
    for (const host of ['localhost', 'localhost:9000', '127.0.0.1', '[::1]:80', '192.168.1.2:8128']) {
      expect((await raw('/api/manifest', { host })).status, host).toBe(200);
    }
    const headers = { host: 'localhost', 'content-length': '0' };
    for (const [name, value] of [
      ['origin', 'http://evil.example'],
      ['origin', 'null'],
      ['sec-fetch-site', 'cross-site'],
    ]) {
      const { status, body } = await raw('/api/answer', { ...headers, [name]: value }, 'POST');
      expect(status).toBe(403);
      expect(JSON.parse(body).error.code).toBe('REQUEST_FOREIGN');
    }
    expect((await raw('/api/answer', { ...headers, origin: 'http://localhost' }, 'POST')).status).toBe(400);
  });

  it('what is damaged at random, without an error of its own', async () => {
    const random = uniforms(11);
    for (let i = 0; i < 150; i++) {
      const bytes = packets[i % packets.length].slice(0, 1 + Math.floor(random() * 400));
      for (let flips = 0; flips < 3; flips++) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
      // With a frame that fits, so that damage reaches the decoder.
      const packet = i % 2 === 0 ? bytes : sealPacket(served.codecs[i % 3].id, bytes);
      const { status, body } = await post(served.url, { packet });
      expect(status === 200 || (status === 422 && body.error.code.startsWith('PACKET_')), `case ${i}: ${status}`).toBe(
        true,
      );
    }
  });
});

it('a thousand requests at once are answered or told that the edge is busy, and the page is served meanwhile', async () => {
  const started = performance.now();
  const all = Array.from({ length: 1000 }, (_, i) =>
    post(served.url, { packet: packets[i % 3], question: 'how many' }),
  );
  expect((await fetch(served.url)).status).toBe(200);
  const results = await Promise.all(all);
  const answered = results.filter(({ status }) => status === 200);
  const busy = results.filter(({ status }) => status === 503);
  expect(answered.length + busy.length).toBe(1000);
  expect(answered.length).toBeGreaterThan(10);
  for (const { body } of busy) expect(body.error.code).toBe('BUSY');
  expect(performance.now() - started).toBeLessThan(30_000);
  expect((await post(served.url, { packet: packets[0] })).status).toBe(200);
});

describe('the command', () => {
  it('says what is wrong before it serves', () => {
    const run = (...args: string[]) => {
      const { status, stderr } = spawnSync(process.execPath, [MAIN, 'demo', ...args], { encoding: 'utf8' });
      return { status, stderr };
    };
    const codec = join(served.dir, '../step-2.codec');
    expect(run(served.dir)).toMatchObject({ status: 1, stderr: expect.stringContaining('--codec') });
    expect(run('nowhere', '--codec', codec)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('FILE_NOT_FOUND'),
    });
    const { port } = new URL(served.url);
    expect(run(served.dir, '--codec', codec, '--port', port)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('the port is taken'),
    });
    expect(run(served.dir, '--codec', codec, '--codec', codec).stderr).toContain('given twice');
    expect(run(served.dir, '--port', '99999').status).toBe(2);
  });

  it('ends cleanly at Ctrl-C, with nothing on standard error but what went wrong', async () => {
    expect(await served.stop()).toBe(0);
    expect(served.said()).toBe('');
  });
});
