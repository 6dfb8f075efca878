import { type ErrorCode, IsthmusError } from '../errors.ts';
import type { Refused, RequestCode } from './wire.ts';

/** A request that is not served: the HTTP status, and what the client is told. It becomes a response and never leaves the server. */
export class Refusal extends Error {
  readonly status: RefusalStatus;
  readonly code: ErrorCode | RequestCode;

  constructor(status: RefusalStatus, code: ErrorCode | RequestCode, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }

  toJSON(): Refused {
    return { error: { code: this.code, message: this.message } };
  }
}

export type RefusalStatus = 400 | 403 | 404 | 413 | 422 | 500 | 503 | 504;

/** Whatever was thrown while a request was served: what foreign bytes did is the client's, the rest is ours. */
export function refusalOf(thrown: unknown): Refusal {
  if (thrown instanceof Refusal) return thrown;
  if (!(thrown instanceof IsthmusError)) {
    return new Refusal(500, 'INTERNAL', 'the demo failed at this request; its terminal says why');
  }
  if (thrown.code.startsWith('PACKET_')) return new Refusal(422, thrown.code, thrown.message);
  return new Refusal(thrown.code === 'LIMIT_EXCEEDED' ? 413 : 500, thrown.code, thrown.message);
}
