import Table from 'cli-table3';

/** Borders of a table on a terminal; none where the output is piped, so that a script can read columns. */
const PLAIN = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
} as const;

/** A table of text: the first `left` columns are aligned left, the others right. `styled` is for terminals: borders and bold heads. */
export function newTable(head: string[], left: number, styled: boolean): Table.Table {
  return new Table({
    head,
    colAligns: head.map((_, i) => (i < left ? 'left' : 'right')),
    style: {
      head: styled ? ['bold'] : [],
      border: [],
      compact: true,
      ...(styled ? {} : { 'padding-left': 0, 'padding-right': 0 }),
    },
    ...(styled ? {} : { chars: PLAIN }),
  });
}

/** Names from files with their control characters made visible, so that a file cannot steer the terminal it is shown on. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  return text.replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, '\ufffd');
}
