/* Size and speed of the entropy coders in one run: `npm run bench:entropy`; bench/entropy/README.md says what is measured. */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { chartSvg } from './chart.ts';
import { compileNative, removeNative } from './native.ts';
import { openPeers } from './peers.ts';
import { measurePhotos } from './photos.ts';
import { describeMachine, printReport, type Results } from './report.ts';
import { RATES } from './source.ts';
import { measureSource, type SyntheticResult } from './synthetic.ts';
import { judge } from './targets.ts';

/** A look at whether everything works: fewer symbols and rounds, and nothing is written. */
const { quick } = parseArgs({ options: { quick: { type: 'boolean', default: false } } }).values;
const LENGTHS = quick
  ? { symbols: 320_000, long: 1_000_000, rounds: 5 }
  : { symbols: 1_000_000, long: 10_000_000, rounds: 15 };
const PHOTOS = quick ? { fit: 40, measure: 4, rounds: 5 } : { fit: 150, measure: 8, rounds: 11 };

const told = (what: string) => process.stderr.write(`${what}\n`);

const native = compileNative();
if (!native) told('gcc is missing: no C coder to compare with');
const peers = await openPeers();
const synthetic: SyntheticResult[] = [];
for (const rate of RATES) {
  told(`a source of ${rate} bits a symbol …`);
  synthetic.push(await measureSource(rate, LENGTHS, native, peers));
}
told('features of photos …');
const photos = await measurePhotos(`${process.env.ISTHMUS_SHARED ?? '../shared'}/photos`, PHOTOS);
const measured = { machine: describeMachine(native), synthetic, photos };
const results: Results = { ...measured, targets: judge(measured) };
printReport(results);
if (native) removeNative(native);
if (!quick) {
  writeFileSync('bench/entropy.results.json', `${JSON.stringify(results, null, 2)}\n`);
  writeFileSync('bench/entropy.svg', await chartSvg(synthetic));
}
