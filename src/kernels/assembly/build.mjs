// Compiles the kernels (`npm run kernels`): the module as a file, and inlined in a source file that is read where no file can be.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';

const here = fileURLToPath(new URL('.', import.meta.url));
const { error, stderr } = await asc.main([
  `${here}index.ts`,
  ...['--outFile', `${here}../kernels.wasm`, '--memoryBase', '4096', '--runtime', 'stub', '--enable', 'simd'],
  ...['-O3', '--noAssert', '--disableWarning'],
]);
if (error) {
  console.error(stderr.toString());
  throw error;
}
const base64 = readFileSync(`${here}../kernels.wasm`).toString('base64');
writeFileSync(
  `${here}../inlined.ts`,
  `/** kernels.wasm in base64; made by \`npm run kernels\`. */\nexport const KERNELS: string =\n  '${base64}';\n`,
);
