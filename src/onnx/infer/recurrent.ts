import { intAttribute, stringAttribute } from '../attributes.ts';
import { type Dim, floorDivide } from '../dim.ts';
import { type Call, input, ofRank, type Rule, shapeOf } from './call.ts';

/** How often the weights hold a gate. */
export const GATES: Readonly<Record<string, number>> = { RNN: 1, GRU: 3, LSTM: 4 };

/** The lengths that recurrent operators work over. */
export interface Recurrence {
  readonly steps: Dim;
  readonly batch: Dim;
  readonly directions: number;
  readonly hidden: Dim;
}

/** Reads X `[steps, batch, in]` (`[batch, steps, in]` with layout 1) and R `[directions, gates * hidden, hidden]`. */
export function recurrenceOf(call: Call): Recurrence {
  const [first, second] = ofRank(call, shapeOf(call, 0), 3, 'X');
  const [steps, batch] = intAttribute(call.node, 'layout', 0) === 1 ? [second, first] : [first, second];
  const directions = stringAttribute(call.node, 'direction', 'forward') === 'bidirectional' ? 2 : 1;
  const stated = intAttribute(call.node, 'hidden_size', undefined);
  const hidden = stated ?? hiddenOf(call);
  return { steps, batch, directions, hidden };
}

function hiddenOf(call: Call): Dim {
  const [, rows] = ofRank(call, shapeOf(call, 1), 3, 'W');
  return floorDivide(rows, GATES[call.node.opType] ?? 1);
}

const recurrent: Rule = (call) => {
  const { dtype } = input(call, 0);
  const { steps, batch, directions, hidden } = recurrenceOf(call);
  const batchFirst = intAttribute(call.node, 'layout', 0) === 1;
  const all = batchFirst ? [batch, steps, directions, hidden] : [steps, directions, batch, hidden];
  const last = batchFirst ? [batch, directions, hidden] : [directions, batch, hidden];
  return [
    { dtype, shape: all },
    { dtype, shape: last },
    { dtype, shape: last },
  ];
};

export const RECURRENT: Readonly<Record<string, Rule>> = { LSTM: recurrent, GRU: recurrent, RNN: recurrent };
