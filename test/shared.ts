import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const path = process.env.ISTHMUS_SHARED ?? fileURLToPath(new URL('../../shared', import.meta.url));

/** The folder of real photos, models and graphs beside the repo, where there is one; tests that need it are skipped without. */
export const SHARED: string | undefined = existsSync(path) ? path : undefined;
