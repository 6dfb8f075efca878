import { check, type Report } from './golden.ts';

/* What a browser's page runs: the report, for the driver outside to wait for. */
const files = fetch('/golden.json').then((response) => response.json());
(globalThis as { report?: Promise<Report> }).report = files.then((golden) => check(golden));
