import { IsthmusError } from '../errors.ts';
import { type Graph, inferShapes, isOp, mainGraph, producersOf, tensorTypeOf, trueInputs } from '../onnx/index.ts';
import type { Picture } from './data/pictures.ts';
import { Extension } from './extension.ts';
import { crossEntropy, topOne } from './losses.ts';

/** A classifier with its loss: further input `labels` (int64 `[batch]`), scalars by name. */
export interface Classifier {
  readonly graph: Graph;
  /** The tensor that the loss is of. */
  readonly logits: string;
  /** Classes of the logits; absent where the shape does not tell. */
  readonly classes?: number;
  readonly loss: string;
  readonly top1: string;
}

/**
 * Adds cross-entropy and top-1 to a classifier's output, by its name or the only one; where that is a Softmax, to what goes
 * into it. Throws `INVALID_ARGUMENT` for no such output, several to choose from, or one that is no row of logits a picture.
 */
export function classifierOf(graph: Graph, output: string | undefined, smoothing: number): Classifier {
  const main = mainGraph(graph);
  const name = output ?? (main.output.length === 1 ? main.output[0].name : undefined);
  const outputs = main.output.map((each) => `'${each.name}'`).join(', ');
  if (name === undefined) {
    throw new IsthmusError('INVALID_ARGUMENT', `the model has several outputs; name the logits: one of ${outputs}`);
  }
  const producer = producersOf(main).get(name);
  if (producer === undefined) {
    throw new IsthmusError('INVALID_ARGUMENT', `no node makes an output '${name}'; the model's outputs are ${outputs}`);
  }
  const logits = isOp(producer, 'Softmax') ? producer.input[0] : name;
  const shape = inferShapes(graph).tensors.get(logits)?.shape;
  if (shape && (shape.length < 2 || shape.slice(2).some((length) => length !== 1))) {
    throw new IsthmusError(
      'INVALID_ARGUMENT',
      `'${logits}' has ${shape.length} axes where logits are [batch, classes]; name the output of logits`,
    );
  }
  if (trueInputs(main).length !== 1) {
    const inputs = trueInputs(main).map((each) => `'${each.name}'`);
    throw new IsthmusError(
      'INVALID_ARGUMENT',
      `a classifier of pictures has one input, this model ${inputs.join(', ')}`,
    );
  }
  const nodes = new Extension(graph);
  const labels = nodes.input({ name: 'labels', dtype: 'int64', shape: ['labels'] });
  const loss = nodes.named(crossEntropy(nodes, logits, labels, smoothing), 'loss');
  const top1 = nodes.named(topOne(nodes, logits, labels), 'top1');
  const classes = typeof shape?.[1] === 'number' ? { classes: shape[1] } : {};
  return { graph: nodes.build([{ name: loss, dtype: 'float32', shape: [] }]), logits, ...classes, loss, top1 };
}

/**
 * Throws `DATA_INVALID` for a picture without a label or with one that is no class of the logits, and where the classes of
 * a folder are not as many as those.
 */
export function checkLabels({ logits, classes }: Classifier, pictures: readonly Picture[], folders?: number): void {
  if (folders !== undefined && classes !== undefined && folders !== classes) {
    throw new IsthmusError(
      'DATA_INVALID',
      `there are ${folders} folders of classes, and '${logits}' has ${classes} classes; give one folder a class, or a list of ` +
        'pictures with the number of their class',
    );
  }
  for (const { path, label } of pictures) {
    if (label === undefined) throw new IsthmusError('DATA_INVALID', `${path} has no label; give each picture one`);
    if (classes === undefined || label < classes) continue;
    throw new IsthmusError(
      'DATA_INVALID',
      `${path} has label ${label}, and '${logits}' has ${classes} classes; labels go from 0 to ${classes - 1}`,
    );
  }
}

/** The number of pictures that a model is made for; `undefined` where it takes any. */
export function fixedBatch(graph: Graph, input: string): number | undefined {
  const declared = mainGraph(graph).input.find(({ name }) => name === input);
  const length = tensorTypeOf(declared?.type)?.shape?.[0];
  return typeof length === 'number' ? length : undefined;
}
