import type { TopLevelSpec } from 'vega-lite';
import { importPeer } from '../../runtime/peer.ts';

/** A Vega-Lite specification as SVG. */
export type Draw = (spec: TopLevelSpec) => Promise<string>;

/**
 * Opens vega and vega-lite, which need no canvas and no browser to draw SVG. `what` says for what they are needed. Throws
 * `PEER_MISSING` with the line that installs them.
 */
export async function openVega(what: string): Promise<Draw> {
  const advice = `run \`npm i vega vega-lite\` to ${what}`;
  const { parse, View } = await importPeer('vega', () => import('vega'), advice);
  const { compile } = await importPeer('vega-lite', () => import('vega-lite'), advice);
  return (spec) => new View(parse(compile(spec).spec), { renderer: 'none' }).toSVG();
}
