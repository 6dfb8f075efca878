import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, ElementHandle, Page } from 'puppeteer-core';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drawScene, questionsOf, renderScene } from '../../fixtures/scenes/index.ts';
import { DEFAULT_LIMITS } from '../../src/limits.ts';
import { identity } from '../../src/packet/index.ts';
import { type BrowserName, launchBrowser, programOf } from '../runtimes/launch.ts';
import { manifestOf, openNodePath, pictureOf, type Served, STEPS, serveTiny } from './served.ts';

let served: Served;
/** The same models, under the name of the suite whose pictures the page draws. */
let scenes: Served;
let node: Awaited<ReturnType<typeof openNodePath>>;
let folder: string;
beforeAll(async () => {
  [served, scenes] = await Promise.all([serveTiny(), serveTiny(1, 'scenes')]);
  node = await openNodePath(served.dir, served.codecs);
  folder = await mkdtemp(join(tmpdir(), 'isthmus-page-'));
});
afterAll(async () => {
  await served?.remove();
  await scenes?.remove();
  await rm(folder, { recursive: true, force: true });
});

/** A camera that needs no lens; Chromium asks for leave, which a test gives or does not, and Firefox takes it. */
const OPTIONS = {
  chromium: { args: ['--use-fake-device-for-media-stream'] },
  firefox: { extraPrefsFirefox: { 'media.navigator.streams.fake': true, 'media.navigator.permission.disabled': true } },
};

/** What stands on the page. */
interface Shown {
  readonly label: string;
  readonly caption: string;
  readonly reply: string;
  /** Of the packet. */
  readonly bytes: number;
  readonly rate: string;
  readonly problems: string[];
}

describe.each<BrowserName>(['chromium', 'firefox'])('the page in %s', (name) => {
  const program = programOf(name);
  const there = it.skipIf(program === null);
  let browser: Browser;
  let page: Page;
  const errors: string[] = [];

  beforeAll(async () => {
    if (program === null) return;
    browser = await launchBrowser(name, program, folder, OPTIONS[name]);
    page = await browser.newPage();
    page.on('pageerror', (error) => errors.push(String(error)));
    page.on('console', (message) => {
      if (message.type() === 'error') errors.push(message.text());
    });
    await page.goto(served.url);
    await settled();
  });
  afterAll(() => browser?.close());

  /** Waits until the page shows an answer, or says what is wrong. */
  const settled = () =>
    page.waitForFunction(
      () =>
        !document.body.classList.contains('asking') &&
        (document.querySelector('#label')?.textContent !== '' || document.querySelector('.problem:not([hidden])')),
      { timeout: 30_000 },
    );
  const shown = (): Promise<Shown> =>
    page.evaluate(() => {
      const text = (id: string) => document.getElementById(id)?.textContent ?? '';
      return {
        label: text('label'),
        caption: text('caption'),
        reply: text('reply'),
        bytes: Number(text('packet-bytes').replaceAll(',', '')),
        rate: text('packet-about').split(',')[0],
        problems: [...document.querySelectorAll('.problem:not([hidden])')].map((each) => each.textContent ?? ''),
      };
    });
  /** Opens a file as the button does, and waits until it stands there. */
  const upload = async (path: string, about: string) => {
    const input = (await page.$('#file')) as ElementHandle<HTMLInputElement>;
    const problem = () =>
      page.evaluate(() => document.querySelector('#picture-problem:not([hidden])')?.textContent ?? '');
    const before = await problem();
    await input.uploadFile(path);
    await page.waitForFunction(
      (wanted, known) =>
        document.querySelector('#about-picture')?.textContent?.startsWith(wanted) ||
        // Not the message of the file before.
        (document.querySelector('#picture-problem:not([hidden])')?.textContent ?? known) !== known,
      { timeout: 30_000 },
      about,
      before,
    );
    await settled();
  };
  const set = (id: string, value: string) =>
    page.evaluate(
      (element, text) => {
        const input = document.getElementById(element) as HTMLInputElement;
        input.value = text;
        input.dispatchEvent(new Event('input', { bubbles: true }));
      },
      id,
      value,
    );
  const ask = async (question: string) => {
    await set('question', question);
    await page.evaluate(() => (document.getElementById('vqa') as HTMLFormElement).requestSubmit());
    await settled();
  };

  there('answers what both halves in one process answer, at every rate', { timeout: 120_000 }, async () => {
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
    const question = 'what colour is the square';
    await ask(question);
    for (const picture of ['0000.png', '0002.png', '0004.png', '0006.png']) {
      const file = join(served.dir, 'images/val', picture);
      await upload(file, picture);
      for (const [i, { id }] of served.codecs.entries()) {
        const packet = await node.encode(id, await pictureOf(served.dir, picture));
        // A budget between this rate's packet and the next finer one's.
        await set('budget', String(i === 0 ? 100_000 : packet.length + 20));
        await settled();
        const { label, caption, reply, bytes, rate } = await shown();
        const wanted = await node.answer(id, packet, question);
        expect(rate).toBe(`step-${STEPS[i]}`);
        // Floats of the two runtimes differ in their last bits, and an integer may round the other way.
        expect(Math.abs(bytes - packet.length), `${picture} at ${rate}`).toBeLessThanOrEqual(4);
        expect({ label, caption }).toEqual({
          label: wanted.classification.label,
          caption: wanted.captioning.caption,
        });
        expect(reply).toMatch(new RegExp(`^${wanted.vqa.answer} \\d+ %$`));
      }
    }
  });

  there('draws scenes as Node does, to the same answers', { timeout: 60_000 }, async () => {
    const other = page;
    page = await browser.newPage();
    try {
      await page.goto(scenes.url);
      await settled();
      const question = await page.$eval('#suggestions button', (button) => button.textContent ?? '');
      await ask(question);
      const index = Number(
        await page.$eval('#about-picture', (about) => /^scene (\d+)/.exec(about.textContent ?? '')?.[1]),
      );
      const scene = drawScene('demo', index);
      expect(questionsOf(scene, 'demo', index).map((each) => each.question)).toContain(question);
      const { width, height, data } = renderScene(scene, 32);
      const [{ id }] = scenes.codecs;
      const wanted = await node.answer(id, await node.encode(id, { width, height, data }), question);
      expect(await shown()).toMatchObject({ label: wanted.classification.label, caption: wanted.captioning.caption });
      expect((await shown()).reply).toMatch(new RegExp(`^${wanted.vqa.answer} \\d+ %$`));
    } finally {
      await page.close();
      page = other;
    }
  });

  there('says that a budget is too small, and leaves nothing stale', async () => {
    await set('budget', '0');
    const { problems, label, caption, reply } = await shown();
    expect(problems).toEqual([expect.stringMatching(/^No packet fits: the smallest of this picture has \d+ bytes/)]);
    expect({ label, caption, reply }).toEqual({ label: '', caption: '', reply: '' });
    await set('budget', '100000');
    await settled();
    expect(await shown()).toMatchObject({ problems: [], label: expect.stringMatching(/^class \d+$/) });
  });

  there('says that a question is too long, and answers the rest', async () => {
    await ask('why '.repeat(2500));
    const { problems, label, reply } = await shown();
    expect(problems).toEqual(['The question has 10,000 characters; 1,000 are the most.']);
    expect(label).toMatch(/^class \d+$/);
    expect(reply).toBe('');
    await ask('how many');
    expect(await shown()).toMatchObject({ problems: [], reply: expect.stringMatching(/ \d+ %$/) });
  });

  there(
    'says what is wrong with files that are no picture it can take, and goes on',
    { timeout: 120_000 },
    async () => {
      const png = await sharp({ create: { width: 300, height: 200, channels: 3, background: '#8a2' } })
        .png()
        .toBuffer();
      const cases: [name: string, bytes: Uint8Array, problem: RegExp][] = [
        ['note.txt', new TextEncoder().encode('no picture'), /no picture that the browser can read/],
        ['empty.png', new Uint8Array(), /no picture that the browser can read/],
        [
          'noise.jpg',
          Uint8Array.from({ length: 4000 }, (_, i) => (i * 7919) & 255),
          /no picture that the browser can read/,
        ],
        ['header.png', png.subarray(0, 40), /no picture that the browser can read/],
        ['huge.png', declared(png, 60_000, 60_000), /million are the most|no picture that the browser can read/],
        ['drawn.svg', new TextEncoder().encode('<svg xmlns="http://www.w3.org/2000/svg"/>'), /no picture that/],
      ];
      for (const [file, bytes, problem] of cases) {
        await writeFile(join(folder, file), bytes);
        await upload(join(folder, file), file);
        const { problems } = await shown();
        expect(problems, file).toEqual([expect.stringMatching(problem)]);
        // A picture that is right takes the message away.
        await upload(join(served.dir, 'images/val/0000.png'), '0000.png');
        await page.waitForSelector('#picture-problem', { hidden: true });
      }
      const long = await open(join(folder, 'long.png'), 'w');
      await long.truncate(DEFAULT_LIMITS.imageBytes + 2 ** 20);
      await long.close();
      await upload(join(folder, 'long.png'), 'long.png');
      expect((await shown()).problems).toEqual([expect.stringMatching(/65 MiB, and 64 MiB are the most/)]);
    },
  );

  there('takes pictures of other sizes', async () => {
    await sharp({ create: { width: 500, height: 90, channels: 4, background: '#8a28' } })
      .webp()
      .toFile(join(folder, 'wide.webp'));
    await upload(join(folder, 'wide.webp'), 'wide.webp');
    expect(await shown()).toMatchObject({ problems: [], label: expect.stringMatching(/^class \d+$/) });
  });

  there('shows the camera, live, and says when it may not', { timeout: 60_000 }, async () => {
    if (name === 'chromium') {
      await page.click('#camera');
      await page.waitForSelector('#picture-problem:not([hidden])');
      expect((await shown()).problems).toEqual([expect.stringMatching(/the camera was refused/)]);
      await browser.defaultBrowserContext().overridePermissions(new URL(served.url).origin, ['camera']);
    }
    await page.click('#camera');
    await page.waitForFunction(() => document.querySelector('#about-picture')?.textContent?.startsWith('camera'));
    await settled();
    expect(await page.$eval('#camera', (button) => button.textContent)).toBe('Stop');
    expect(await shown()).toMatchObject({ problems: [], label: expect.stringMatching(/^class \d+$/) });
    await page.click('#camera');
    expect(await page.$eval('#camera', (button) => button.getAttribute('aria-pressed'))).toBe('false');
  });

  there('fits every width, and nothing in it goes wrong unseen', async () => {
    for (const width of [360, 768, 1440]) {
      await page.setViewport({ width, height: 800 });
      expect(await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)).toBeLessThanOrEqual(
        0,
      );
    }
    expect(errors).toEqual([]);
    expect((await manifestOf(served.url)).codecs.map(({ id }) => id)).toEqual(
      served.codecs.map(({ id }) => identity(id)),
    );
  });
});

/** A PNG whose header tells other sides, with the checksum that belongs to them. */
function declared(png: Uint8Array, width: number, height: number): Uint8Array {
  const bytes = png.slice();
  const view = new DataView(bytes.buffer);
  view.setUint32(16, width);
  view.setUint32(20, height);
  view.setUint32(29, crc32(bytes.subarray(12, 29)));
  return bytes;
}

/** PNG's checksum; Node has it from version 22 on. */
function crc32(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}
