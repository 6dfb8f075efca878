import type { Refused } from '../src/demo/wire.ts';

/** Something that the page tells its reader: a code to branch on, and a sentence. */
export class Problem extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** What was thrown, as a sentence for the reader. */
export function problemOf(thrown: unknown): Problem {
  if (thrown instanceof Problem) return thrown;
  const { code, message } = thrown as { code?: unknown; message?: unknown };
  return new Problem(typeof code === 'string' ? code : 'INTERNAL', String(message ?? thrown));
}

/** Throws what a response that is no success says. */
export async function checkResponse(response: Response): Promise<Response> {
  if (response.ok) return response;
  const body = (await response.json().catch(() => null)) as Refused | null;
  if (body?.error) throw new Problem(body.error.code, body.error.message);
  throw new Problem('INTERNAL', `the server answered ${response.status} ${response.statusText}`);
}

/** `fetch` from the demo's own server. Throws a `Problem` where it does not answer, or answers with one. */
export async function ask(url: string, options?: RequestInit): Promise<Response> {
  const response = await fetch(url, options).catch((cause) => {
    if (cause instanceof DOMException && cause.name === 'AbortError') throw cause;
    throw new Problem('UNREACHABLE', 'the server does not answer; is isthmus demo still running?');
  });
  return checkResponse(response);
}
