import { readFileSync } from 'node:fs';
import { argv } from 'node:process';
import { check, type Way } from './golden.ts';

/* What Node, Bun and Deno run: `command.mjs GOLDEN WAY`, the report as one line of JSON. */
console.log(JSON.stringify(check(JSON.parse(readFileSync(argv[2], 'utf8')), argv[3] as Way)));
