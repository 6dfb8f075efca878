import { type ErrorCode, IsthmusError } from '../src/errors.ts';

/** The code of the IsthmusError that a call throws, `none` where it throws nothing; anything else thrown goes on. */
export function codeOf(attempt: () => unknown): ErrorCode | 'none' {
  try {
    attempt();
  } catch (error) {
    if (error instanceof IsthmusError) return error.code;
    throw error;
  }
  return 'none';
}
