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
