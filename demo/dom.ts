/** An element of the page by its id. */
export function byId<E extends HTMLElement = HTMLElement>(id: string): E {
  return document.getElementById(id) as E;
}

/** A new element with its class and text, or children. */
export function make(tag: string, className = '', ...children: (string | Node)[]): HTMLElement {
  const element = document.createElement(tag);
  if (className !== '') element.className = className;
  element.append(...children);
  return element;
}

/** Shows a sentence in an element that is hidden without one. */
export function say(id: string, message: string | null): void {
  const element = byId(id);
  // Written only where it changes, so that a screen reader does not say it again.
  if (element.textContent !== (message ?? '')) element.textContent = message ?? '';
  element.hidden = message === null;
}

/** A whole number with separators. */
export function whole(value: number): string {
  return Math.round(value).toLocaleString('en');
}

export function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}
