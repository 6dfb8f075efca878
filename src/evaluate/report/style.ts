/** Colours on white, for screens in light and for paper. */
const LIGHT = `
  --page: #ffffff; --panel: #f6f7f9; --text: #16191d; --muted: #565e69; --line: #b9c0c9; --grid: #e7eaee; --link: #0b5cad;
  --band: #e6f2e8; --good: #1a7f37; --bad: #b3261e; --part: #8a5a00; --warn: #fff3d1; --warn-line: #b98900;
  --way-reference: #16191d; --way-png: #69717d; --way-jpeg: #1464b4; --way-webp: #0b7d73; --way-avif: #54800f;
  --way-raw: #8a6a34; --way-int8: #7a4520; --way-klt: #7038d8; --way-klt-task: #b0189a; --way-learned: #d24309;
  --part-frame: #3a414b; --part-1: #0b3c75; --part-2: #1257a6; --part-3: #2f78c9; --part-4: #5a97d8; --part-5: #8ab4e4;
  --part-6: #b4cfee; --part-7: #d5e4f5; --part-other: #e0912f; --part-rest: #a3abb5;
  --stage-head: #2566b0; --stage-encode: #e0852a; --stage-decode: #e8bd3e; --stage-tail: #2a8c70;`;

/** Classes of the parts of bars. */
const PARTS = [
  ...['frame', '1', '2', '3', '4', '5', '6', '7', 'other', 'rest'].map((part) => `part-${part}`),
  ...['head', 'encode', 'decode', 'tail'].map((stage) => `stage-${stage}`),
];

/** The page's style. Colours are variables, which charts name too, so that one chart serves light, dark and paper. */
export const STYLE = `
:root {
  color-scheme: light dark; ${LIGHT}
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171b; --panel: #1d2126; --text: #e8eaed; --muted: #a7afb9; --line: #525a65; --grid: #2b3037; --link: #82b8f5;
    --band: #1d3324; --good: #63c67e; --bad: #ff8d84; --part: #e3b04b; --warn: #3a2f10; --warn-line: #d6a72c;
    --way-reference: #e8eaed; --way-png: #a5adb8; --way-jpeg: #6fb3f7; --way-webp: #3fcabb; --way-avif: #a3d04e;
    --way-raw: #d0b27c; --way-int8: #d79a6b; --way-klt: #b79cff; --way-klt-task: #f283da; --way-learned: #ff8f5c;
    --part-frame: #d6dbe1; --part-1: #bcd8f8; --part-2: #93c0f2; --part-3: #6aa5e6; --part-4: #4688d2; --part-5: #326db2;
    --part-6: #28568d; --part-7: #21426a; --part-other: #e9a24a; --part-rest: #6b7480;
    --stage-head: #6aa5e6; --stage-encode: #f0a64c; --stage-decode: #f5d06a; --stage-tail: #4fb89a;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
body { margin: 0 auto; padding: 1.5rem max(1rem, 3vw) 4rem; max-width: 76rem; background: var(--page); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: clamp(1.5rem, 1.1rem + 2vw, 2.25rem); line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.35rem; line-height: 1.25; margin: 0 0 .75rem; }
h3 { font-size: 1.05rem; margin: 1.5rem 0 .5rem; }
h2, h3, .card h2 { text-wrap: balance; }
small { font-size: .8125rem; font-weight: normal; color: var(--muted); }
p { margin: 0 0 .75rem; max-width: 72ch; }
a { color: var(--link); }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
section { margin-top: 3rem; scroll-margin-top: 1rem; }
.kind { margin: 0; font-size: .8125rem; letter-spacing: .08em; text-transform: uppercase; color: var(--muted); }
.lead { font-size: 1.0625rem; }
.note { font-size: .875rem; color: var(--muted); }
.warning { padding: .6rem .9rem; background: var(--warn); border-left: 4px solid var(--warn-line); }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1rem; margin: 1rem 0 0; padding: .6rem 0;
  border-block: 1px solid var(--grid); }
nav a { display: inline-block; padding: .2rem 0; }
#short { margin-top: 1.5rem; }
.cards { list-style: none; margin: 0; padding: 0; display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 17rem), 1fr)); }
.card { background: var(--panel); border-radius: .6rem; padding: 1rem 1.1rem; }
.card h2 { font-size: 1rem; margin: 0 0 .5rem; }
.card h2 a { color: inherit; text-decoration: none; display: block; }
.card h2 a:hover { text-decoration: underline; }
.card .note { margin: 0; }
.amount { line-height: 1.35; }
.amount strong { font-size: 1.75rem; font-variant-numeric: tabular-nums; }
.amount.best-picture strong { font-size: 1.25rem; font-weight: 600; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .3rem .4rem; margin: 0 0 .75rem; padding: 0; }
.legend button { font: inherit; font-size: .875rem; color: inherit; background: none; border: 1px solid var(--grid); border-radius: 1rem;
  padding: .25rem .7rem .25rem .45rem; display: inline-flex; gap: .45rem; align-items: center; cursor: pointer; min-height: 2rem; }
.legend button:hover { border-color: var(--line); }
.legend button[aria-pressed=false] { opacity: .55; text-decoration: line-through; }
.symbol { flex: none; vertical-align: -1px; margin-right: .4rem; }
.legend .symbol { margin: 0; }
.charts { display: grid; gap: 1.5rem 1.25rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 19rem), 1fr)); align-items: start; }
figure { margin: 0; min-width: 0; break-inside: avoid; }
figcaption { font-size: .875rem; color: var(--muted); margin-top: .35rem; }
figcaption b { color: var(--text); }
.plot svg { display: block; width: 100%; height: auto; overflow: visible; }
.plot.narrow svg { max-width: 26rem; }
.plot { touch-action: pan-y; }
.both .wide { display: none; }
.mark.current { stroke-width: 4; }
@media (min-width: 46rem) { .both .wide { display: block; } .both .narrow { display: none; } .charts.one { grid-template-columns: minmax(0, 1fr); } }
@media (min-width: 66rem) { .charts.one { grid-template-columns: minmax(0, 2.1fr) minmax(0, 1fr); } }
.task > .note { margin-top: .75rem; }
.table { overflow-x: auto; margin: 1rem 0; border: 1px solid var(--grid); border-radius: .4rem; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; font-variant-numeric: tabular-nums; }
.table { container-type: inline-size; }
caption { text-align: left; color: var(--muted); font-size: .875rem; }
caption span { display: block; position: sticky; left: 0; width: 100cqw; padding: .5rem .7rem; }
th, td { padding: .3rem .7rem; text-align: right; white-space: nowrap; border-top: 1px solid var(--grid); font-weight: normal; }
thead th { color: var(--muted); vertical-align: bottom; background: var(--panel); }
thead th[colspan] { text-align: center; }
tbody th { text-align: left; position: sticky; left: 0; background: var(--page); }
thead tr:first-child th:first-child { text-align: left; position: sticky; left: 0; }
td.text { text-align: left; }
tbody tr:hover > * { background: var(--panel); }
.facts td { white-space: normal; overflow-wrap: anywhere; }
.facts th { vertical-align: top; color: var(--muted); }
pre span { display: inline-block; max-width: 100%; }
pre { margin: 0 0 1rem; padding: .8rem 1rem; background: var(--panel); border-radius: .4rem; white-space: pre-wrap; overflow-wrap: anywhere; font-size: .875rem; }
.bar-groups { display: grid; gap: 1rem 2.5rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); }
.bar-groups h3 { margin-top: .5rem; }
.bars, .parts { list-style: none; margin: 0; padding: 0; }
.bars { display: grid; gap: 1.1rem; }
.bars > li { break-inside: avoid; }
.bar-name { display: flex; justify-content: space-between; gap: 1rem; margin: 0 0 .2rem; max-width: none; }
.bar-name strong { white-space: nowrap; font-variant-numeric: tabular-nums; }
.bar { display: flex; gap: 1px; height: 1.1rem; min-width: 4px; }
.bar i { flex: 0 1 0; min-width: 0; }
.bar i:first-child { border-radius: .2rem 0 0 .2rem; } .bar i:last-child { border-radius: 0 .2rem .2rem 0; }
.parts { display: flex; flex-wrap: wrap; gap: 0 1rem; font-size: .8125rem; color: var(--muted); margin-top: .25rem; }
.parts b { color: var(--text); font-weight: 600; font-variant-numeric: tabular-nums; }
.parts i { display: inline-block; width: .75em; height: .75em; border-radius: .15em; margin-right: .35em; vertical-align: -.05em; box-shadow: inset 0 0 0 1px var(--line); }
${PARTS.map((part) => `.${part} { background: var(--${part}); }`).join(' ')}
.samples { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 29rem), 1fr)); align-items: start; }
.sample { background: var(--panel); border-radius: .6rem; padding: .9rem; display: grid; gap: .9rem; grid-template-columns: 9.5rem minmax(0, 1fr); align-items: start; break-inside: avoid; }
.sample img { display: block; width: 100%; height: auto; border-radius: .3rem; }
.picture p { margin: .3rem 0 0; line-height: 1.3; overflow-wrap: anywhere; }
@media (max-width: 30rem) { tbody th small { display: block; } .sample { grid-template-columns: minmax(0, 1fr); }
  .picture { display: grid; grid-template-columns: 8rem minmax(0, 1fr); gap: .75rem; align-items: end; } }
dl { margin: 0 0 .9rem; display: grid; grid-template-columns: auto minmax(0, 1fr); gap: .25rem .75rem; font-size: .9375rem; }
dl + dl { border-top: 1px solid var(--grid); padding-top: .9rem; }
dl:last-child { margin-bottom: 0; }
dt { color: var(--muted); font-size: .8125rem; line-height: 1.75; }
dd { margin: 0; min-width: 0; }
@media (max-width: 30rem) { dl { grid-template-columns: minmax(0, 1fr); gap: 0; } dt { margin-top: .35rem; } }
.question { font-style: italic; }
dt.changed { color: var(--part); font-weight: 600; }
.right b { color: var(--good); } .wrong b { color: var(--bad); } .part b { color: var(--part); }
.chips { list-style: none; margin: .15rem 0 0; padding: 0; display: flex; flex-wrap: wrap; gap: .2rem .3rem; }
.chips li { font-size: .75rem; color: var(--muted); border: 1px solid var(--line); border-radius: .8rem; padding: .05rem .5rem .05rem .35rem; white-space: nowrap; font-variant-numeric: tabular-nums; }
.chips b { color: var(--text); font-weight: 600; }
.chips .symbol { margin-right: .3rem; }
#tip { position: absolute; z-index: 1; max-width: min(24rem, calc(100vw - 16px)); padding: .45rem .7rem; background: var(--text); color: var(--page); border-radius: .35rem;
  font-size: .8125rem; line-height: 1.4; pointer-events: none; font-variant-numeric: tabular-nums; }
#tip div:first-child { font-weight: 600; }
@media (min-width: 78rem) { .landscape .table { width: min(96vw, 96rem); margin-left: calc(50% - min(48vw, 48rem)); } .landscape :is(th, td) { padding-inline: .55rem; } }
@page { margin: 14mm 12mm; }
@page wide { size: A4 landscape; }
@media print {
  :root { color-scheme: light; ${LIGHT} --page: #fff; --panel: #fff; --text: #000; --muted: #444; --link: #000; }
  body { padding: 0; max-width: none; font-size: 10pt; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  nav, #tip { display: none; }
  section { margin-top: 1.5rem; }
  h2, h3, h2 + p, .legend { break-after: avoid; } h2 + p, .legend { break-inside: avoid; }
  .cards { grid-template-columns: repeat(3, minmax(0, 1fr)); }
  .samples { grid-template-columns: repeat(2, minmax(0, 1fr)); } .sample { grid-template-columns: 6rem minmax(0, 1fr); }
  .card, .sample { border: 1px solid var(--grid); }
  .both .wide { display: block; } .both .narrow { display: none; }
  .charts.one { grid-template-columns: minmax(0, 2fr) minmax(0, 1fr); }
  .table { overflow: visible; break-inside: auto; border: 0; }
  table { font-size: 8pt; } th, td { padding: .15rem .3rem; }
  tr { break-inside: avoid; } thead { display: table-header-group; }
  tbody th, caption, thead tr:first-child th:first-child { position: static; }
  .legend button { border: 0; padding: 0 .5rem 0 0; min-height: 0; }
  .landscape { page: wide; } .landscape .table { width: auto; margin-left: 0; } .landscape table { font-size: 6.5pt; }
  .parts, .chips li { font-size: 7.5pt; }
}
`;
