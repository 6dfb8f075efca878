import { check, type Way } from './golden.ts';

/* What workerd runs: any request is answered with the report. */

/** A variable, because it is workerd that knows this module and neither TypeScript nor the bundler. */
const KERNELS = './kernels.wasm';

export default {
  async fetch(_: Request, { GOLDEN, WAY }: { GOLDEN: Record<string, string>; WAY: Way }): Promise<Response> {
    const module = WAY === 'module' ? (await import(KERNELS)).default : undefined;
    return Response.json(check(GOLDEN, WAY, module));
  },
};
