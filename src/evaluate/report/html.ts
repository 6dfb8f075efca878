import { html } from 'hono/html';

/** A part of a page: what a template puts in is escaped, other parts are not escaped again. */
export type Html = ReturnType<typeof html>;

/** Nothing. */
export const NONE: Html = html``;

/** The markup of a part. */
export async function markup(part: Html): Promise<string> {
  return String(await part);
}
