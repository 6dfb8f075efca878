import { setTimeout } from 'node:timers/promises';
import { Cache, cacheKey } from '../../../src/evaluate/index.ts';
import { Rows } from '../../../src/train/data/rows.ts';
import { COLUMNS, maker } from './row-maker.ts';

// A process of its own that fills a file of a thousand rows, one by one, and prints how many there are, until it is killed.
const rows = await Rows.open({
  cache: new Cache(process.argv[2]),
  keys: [cacheKey(['version', 0])],
  rowsPerFile: 1000,
  columns: COLUMNS,
});
await rows.fill(
  async (file, chosen) => {
    await setTimeout(2);
    return maker()(file, chosen);
  },
  { batch: 1, onRows: (done) => process.stdout.write(`${done}\n`) },
);
