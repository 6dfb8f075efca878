/** How a training was run, for the card of what it made. */
export interface Provenance {
  /** Seconds of the steps of training, those of earlier runs that this one went on from among them. */
  readonly seconds: number;
  /** Package, runtime, Node and machine. */
  readonly environment: string;
  /** The line that makes it again. */
  readonly command: string;
}

/** The end of a card, lines of Markdown: the command, where it ran, and the recipe with what it left to defaults. */
export function madeBy({ command, environment }: Provenance, recipe: object): string[] {
  return [`Made by \`${command}\` with ${environment}:`, '', '```json', JSON.stringify(recipe, null, 2), '```', ''];
}
