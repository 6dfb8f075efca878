import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, type } from 'node:os';
import { newTable } from '../../src/table.ts';
import type { FeatureRow } from './feature-rows.ts';
import type { Native } from './native.ts';
import type { PhotoResult } from './photos.ts';
import type { SyntheticResult } from './synthetic.ts';
import { percent, ratios, type Target } from './targets.ts';
import { KERNELS } from './ways.ts';

/** What `bench/entropy.results.json` holds; times in milliseconds. */
export interface Results {
  readonly machine: ReturnType<typeof describeMachine>;
  readonly synthetic: readonly SyntheticResult[];
  readonly photos: PhotoResult | null;
  readonly targets: readonly Target[];
}

/** What the numbers depend on. */
export function describeMachine(native: Native | null) {
  const version = (name: string) =>
    JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')).version as string;
  return {
    commitDate: execFileSync('git', ['log', '-1', '--format=%cI'], { encoding: 'utf8' }).trim(),
    cpu: cpus()[0]?.model.trim(),
    cores: cpus().length,
    system: `${type()} ${release()}`,
    node: process.version,
    v8: process.versions.v8,
    zlib: process.versions.zlib,
    brotli: process.versions.brotli,
    fflate: version('fflate'),
    zstdWasm: version('@bokuweb/zstd-wasm'),
    compiler: native?.compiler ?? 'no gcc',
    kernelBytes: KERNELS.length,
  };
}

/** All tables, on the standard output. */
export function printReport({ machine, synthetic, photos, targets }: Results): void {
  const print = (text: string) => process.stdout.write(`${text}\n`);
  for (const result of synthetic) print(sourceTable(result));
  print(ratioTable(synthetic));
  if (photos) {
    print(`\nIntegers of a feature ${photos.cut}, ${photos.fitted} photos fitted on, ${photos.measured} measured`);
    print(featureTable(photos.models));
    print(`\nWhole features as packets: codec.encode and codec.decode`);
    print(featureTable(photos.packets));
  } else {
    print('\nThe photos are missing beside the repository (or in ISTHMUS_SHARED): no features measured');
  }
  print(targetTable(targets));
  print(
    Object.entries(machine)
      .map(([name, value]) => `${name} ${value}`)
      .join(', '),
  );
}

function sourceTable({ rate, symbols, precision, idealBytes, tableBytes, rows, sizes }: SyntheticResult): string {
  const speed = (ms: number) => (symbols / ms / 1000).toFixed(symbols / ms > 1e4 ? 0 : 1);
  const table = textTable(['coder', 'bytes', 'over ideal', 'encode', 'best', 'decode', 'best'], 1);
  table.push(['ideal of the source', idealBytes.toFixed(1), '', '', '', '', '']);
  table.push([`ideal of its table`, tableBytes.toFixed(1), percent(tableBytes / idealBytes - 1), '', '', '', '']);
  for (const { coder, bytes, encode, decode } of rows) {
    const speeds = [encode.median, encode.best, decode.median, decode.best].map(speed);
    table.push([coder, bytes, percent(bytes / idealBytes - 1), ...speeds]);
  }
  const notes = [
    ...rows.flatMap(({ coder, variants: v }) => (v ? [`${coder}: encodes ${v.encode}; decodes ${v.decode}`] : [])),
    ...sizes.map((size) => {
      const over = percent(size.bytes / size.idealBytes - 1);
      return `${size.symbols} symbols with the lanes of the rule (${size.lanes}): ${size.bytes} bytes, ${over}`;
    }),
  ];
  const title = `${rate} bits a symbol, ${symbols} symbols, tables of ${precision} bits; millions of symbols a second`;
  return `\n${title}\n${table}\n${notes.join('\n')}`;
}

function ratioTable(synthetic: readonly SyntheticResult[]): string {
  const all = ratios(synthetic);
  if (all.length === 0) return '\ngcc is missing: no ratios';
  const rates = synthetic.map(({ rate }) => rate);
  const table = textTable(['times as fast', ...rates.map((rate) => `${rate} bits`)], 1);
  for (const name of new Set(all.map((r) => `${r.way} ${r.direction} over ${r.against}`))) {
    const those = all.filter((r) => `${r.way} ${r.direction} over ${r.against}` === name);
    table.push([name, ...those.map(({ median, best }) => `${median.toFixed(2)} (${best.toFixed(2)})`)]);
  }
  return `\nSpeed with 32 lanes over the C coder, by medians (by best runs)\n${table}`;
}

function featureTable(rows: readonly FeatureRow[]): string {
  const table = textTable(['step', 'model', 'way', 'bytes', 'encode ms', 'best', 'decode ms', 'best'], 3);
  for (const { step, what, way, bytes, encode, decode } of rows) {
    const times = [encode.median, encode.best, decode.median, decode.best].map((ms) => ms.toFixed(3));
    table.push([step, what, way, bytes.toFixed(0), ...times]);
  }
  return table.toString();
}

function targetTable(targets: readonly Target[]): string {
  const table = textTable(['target', 'goal', 'worst measured', ''], 4);
  for (const { name, goal, worst, met } of targets) {
    table.push([name, goal, worst, met === null ? 'not measured' : met ? 'met' : 'NOT MET']);
  }
  return `\n${table}`;
}

function textTable(head: string[], left: number) {
  return newTable(head, left, process.stdout.isTTY);
}
