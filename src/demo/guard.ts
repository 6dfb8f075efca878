import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { Refusal } from './refusal.ts';

/**
 * Refuses what other sites' pages could make a browser send: a request under a name that is not this machine's (a foreign name that
 * resolves to it, DNS rebinding), and one that another origin's page started. `names` are further names of this machine. Addresses pass,
 * because no name had to be resolved for them. Throws a refusal.
 */
export function checkOrigin(headers: Headers, names: ReadonlySet<string>): void {
  const host = headers.get('host');
  if (host === null || !isOwn(host, names)) {
    throw foreign(`the request is for '${host ?? ''}', which is no name of this machine`);
  }
  const origin = headers.get('origin');
  if (origin !== null && origin !== `http://${host}`) throw foreign(`a page of ${origin} sent the request`);
  if (headers.get('sec-fetch-site') === 'cross-site') throw foreign('a page of another site sent the request');
}

/** The names by which a server bound to `bound` may be called. */
export function ownNames(bound: string): ReadonlySet<string> {
  return new Set(['localhost', hostname().toLowerCase(), bound.toLowerCase()]);
}

function isOwn(host: string, names: ReadonlySet<string>): boolean {
  // An address of version 6 stands in brackets.
  const name = /^(?:\[([^\]]+)\]|([^:]+))(?::\d+)?$/.exec(host)?.slice(1).join('').toLowerCase() ?? '';
  return isIP(name) !== 0 || names.has(name) || name.endsWith('.localhost');
}

function foreign(why: string): Refusal {
  return new Refusal(403, 'REQUEST_FOREIGN', `${why}; open the address that isthmus demo printed`);
}
