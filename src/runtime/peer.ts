import { IsthmusError, messageOf } from '../errors.ts';

/**
 * Loads an optional peer. Throws `PEER_MISSING` with the line that installs it, or with the reason where it is installed
 * and does not load.
 */
export async function importPeer<Module>(name: string, load: () => Promise<Module>, advice: string): Promise<Module> {
  try {
    return await load();
  } catch (cause) {
    const absent = isAbsent(name, cause);
    throw new IsthmusError(
      'PEER_MISSING',
      absent
        ? `the optional package ${name} is not installed; ${advice}`
        : `the optional package ${name} is installed but does not load here: ${messageOf(cause)}; ${advice}`,
      { cause },
    );
  }
}

/** Whether it is the package itself that was not found, rather than something that it needs. */
function isAbsent(name: string, cause: unknown): boolean {
  const code = (cause as { code?: unknown } | null)?.code;
  return (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND') && messageOf(cause).includes(`'${name}'`);
}
