import { check } from './golden.ts';

/* What workerd runs: any request is answered with the report. */
export default {
  fetch: (_: Request, { GOLDEN }: { GOLDEN: Record<string, string> }) => Response.json(check(GOLDEN)),
};
