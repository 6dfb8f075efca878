import { check, type Report, type Way } from './golden.ts';

/* What a browser's page, named by its way, runs: the report, for the driver outside to wait for. */
const files = fetch('/golden.json').then((response) => response.json());
(globalThis as { report?: Promise<Report> }).report = files.then((golden) =>
  check(golden, location.pathname.slice(1) as Way),
);
