import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import puppeteer, { type Browser, type Page } from 'puppeteer-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { reportPage } from '../../../src/evaluate/index.ts';
import { newDocument } from './document.ts';

const CHROMIUM = ['chromium', 'chromium-browser', 'google-chrome']
  .flatMap((name) => (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, name)))
  .find((path) => existsSync(path));

/** On Debian `apt-get install chromium`; `.ci/run` does. */
describe.skipIf(CHROMIUM === undefined)('a report in Chromium', () => {
  let folder: string;
  let browser: Browser;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'isthmus-report-'));
    writeFileSync(join(folder, 'report.html'), await reportPage(newDocument()));
    browser = await puppeteer.launch({
      executablePath: CHROMIUM,
      userDataDir: join(folder, 'profile'),
      // Chromium's sandbox refuses to run as root, as CI does; the only page it opens is ours.
      args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
      env: { ...process.env, HOME: folder },
    });
  });
  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** The page at a width, with what it said and what it asked the network for. */
  async function open(width: number, scheme: 'light' | 'dark'): Promise<{ page: Page; said: string[] }> {
    const page = await browser.newPage();
    const said: string[] = [];
    page.on('pageerror', (error) => said.push(String(error)));
    page.on('console', (message) => said.push(message.text()));
    page.on('request', (request) => {
      if (!/^(file|data):/.test(request.url())) said.push(`asked for ${request.url()}`);
    });
    await page.setViewport({ width, height: 800 });
    await page.emulateMediaFeatures([
      { name: 'prefers-color-scheme', value: scheme },
      // No scrolling on while a test looks for where something is.
      { name: 'prefers-reduced-motion', value: 'reduce' },
    ]);
    await page.goto(pathToFileURL(join(folder, 'report.html')).href);
    return { page, said };
  }

  it.each([360, 768, 1440])('fits %i pixels in light and dark, with texts that can be read', async (width) => {
    for (const scheme of ['light', 'dark'] as const) {
      const { page, said } = await open(width, scheme);
      const { overflow, outside, contrast, small } = await page.evaluate(MEASURE);
      expect({ scheme, overflow, outside, said }).toEqual({ scheme, overflow: 0, outside: [], said: [] });
      // WCAG 2.2 AA: 4.5 for text.
      expect(contrast.filter(({ ratio }) => ratio < 4.5)).toEqual([]);
      expect(small).toEqual([]);
      await page.close();
    }
  });

  it('tells the values of a mark to pointer, finger and keys, and switches ladders', async () => {
    const { page, said } = await open(768, 'light');
    const plot = await page.$('#task-vqa .plot');
    await plot?.focus();
    await page.keyboard.press('ArrowRight');
    const tip = () => page.$eval('#tip', (element) => ((element as HTMLElement).hidden ? null : element.textContent));
    expect(await tip()).toMatch(/^device answer2 bytes an image.*head’s share 100/);
    await page.keyboard.press('ArrowRight');
    expect(await tip()).toMatch(/^png level=9/);
    await page.keyboard.press('Escape');
    expect(await tip()).toBeNull();

    const centre = async (selector: string) => {
      const mark = await page.$(selector);
      await mark?.scrollIntoView();
      const { x, y, width, height } = (await mark?.boundingBox()) ?? { x: 0, y: 0, width: 0, height: 0 };
      return [x + width / 2, y + height / 2] as const;
    };
    await page.mouse.move(...(await centre('#task-vqa .plot [class*=" l18_points"] .mark')));
    expect(await tip()).toMatch(/^learned coarse/);
    await page.mouse.move(0, 0);
    expect(await tip()).toBeNull();
    await page.touchscreen.tap(...(await centre('#task-vqa .plot [class*=" l3_points"] .mark')));
    expect(await tip()).toMatch(/^jpeg q=50 4:2:0/);

    const shown = () =>
      page.$$eval('#task-vqa .plot .mark', (marks) => marks.filter((each) => each.getClientRects().length > 0).length);
    const before = await shown();
    const [klt] = await page.$$('#task-vqa .legend button[data-ladders="14 15"]');
    await klt.evaluate((button) => (button as HTMLElement).click());
    // Four points at each of two cuts, in the chart of their cut and in that of the head's share.
    expect(before - (await shown())).toBe(16);
    expect(await klt.evaluate((button) => button.getAttribute('aria-pressed'))).toBe('false');
    expect(said).toEqual([]);
    await page.close();
  });

  it('prints', async () => {
    const { page } = await open(1440, 'dark');
    const pdf = Buffer.from(await page.pdf({ preferCSSPageSize: true, format: 'A4' }));
    expect(pdf.subarray(0, 5).toString()).toBe('%PDF-');
    await page.emulateMediaType('print');
    expect(await page.evaluate('getComputedStyle(document.body).backgroundColor')).toBe('rgb(255, 255, 255)');
    await page.close();
  });
});

/** Runs in the page: what sticks out, texts without contrast, texts too small. */
const MEASURE = () => {
  const root = document.documentElement;
  const luminance = (colour: string) => {
    const [r, g, b] = (colour.match(/[\d.]+/g) ?? []).map((value) => {
      const share = Number(value) / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element: Element | null): string => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (!/, 0\)$|transparent/.test(colour)) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const texts = [...document.querySelectorAll('body *')].filter(
    (element) =>
      element.getClientRects().length > 0 &&
      [...element.childNodes].some((child) => child.nodeType === 3 && child.textContent?.trim()) &&
      !element.closest('script, title'),
  );
  const contrast = texts.map((element) => {
    const style = getComputedStyle(element);
    const ink = luminance(element instanceof SVGElement ? style.fill : style.color);
    const paper = luminance(behind(element));
    const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    return { text: element.textContent?.slice(0, 30), ratio };
  });
  const sizeOf = (element: Element) => {
    const drawn = element.closest('svg');
    const scale = drawn?.viewBox.baseVal.width ? drawn.getBoundingClientRect().width / drawn.viewBox.baseVal.width : 1;
    return Number.parseFloat(getComputedStyle(element).fontSize) * scale;
  };
  return {
    overflow: root.scrollWidth - root.clientWidth,
    outside: [...document.querySelectorAll('body *')]
      .filter((element) => !element.closest('.table') && element.getBoundingClientRect().right > root.clientWidth + 1)
      .map((element) => element.outerHTML.slice(0, 80)),
    contrast,
    small: texts.filter((element) => sizeOf(element) < 10.5).map((element) => element.textContent?.slice(0, 30)),
  };
};
