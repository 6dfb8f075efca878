import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import puppeteer, { type Browser, type LaunchOptions } from 'puppeteer-core';

export type BrowserName = 'chromium' | 'firefox';

const PROGRAMS: Readonly<Record<BrowserName, readonly string[]>> = {
  chromium: ['chromium', 'chromium-browser', 'google-chrome'],
  firefox: ['firefox-esr', 'firefox'],
};

/** Where a browser's program is; null where it is not installed. */
export function programOf(name: BrowserName): string | null {
  return PROGRAMS[name].map(onPath).find((path) => path !== null) ?? null;
}

/** Starts a browser without a window, that keeps what it writes in `folder`. */
export function launchBrowser(
  name: BrowserName,
  program: string,
  folder: string,
  options: Pick<LaunchOptions, 'signal' | 'args' | 'extraPrefsFirefox'> = {},
): Promise<Browser> {
  // Chromium's sandbox refuses to run as root, as CI does; the only pages it opens are ours.
  const root = name === 'chromium' && process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  return puppeteer.launch({
    browser: name === 'chromium' ? 'chrome' : 'firefox',
    executablePath: program,
    userDataDir: join(folder, name),
    env: { ...process.env, HOME: folder },
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
    ...options,
    args: [...root, ...(options.args ?? [])],
  });
}

function onPath(program: string): string | null {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return join(folder, program);
    } catch {
      // Not in this folder.
    }
  }
  return null;
}
