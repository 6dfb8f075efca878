import { type Command, InvalidArgumentError } from 'commander';
import { IsthmusError } from '../errors.ts';
import { type Graph, mainGraph, tensorTypeOf, trueInputs } from '../onnx/index.ts';
import { type InputSpec, openSuite } from '../tasks/index.ts';

/** The options that say how a picture becomes a model's input. */
export interface PictureOptions {
  suite?: string;
  mean: Triple;
  std: Triple;
  order: 'RGB' | 'BGR';
  size?: [width: number, height: number];
}
type Triple = [number, number, number];

/** Adds the options that {@link pictureInput} reads. */
export function addPictureOptions(command: Command): Command {
  return command
    .option('--suite <DIR>', 'prepare pictures as the suite.json in this folder says')
    .option('--mean <R,G,B>', 'mean of the channels, of values from 0 to 1', triple, [0.5, 0.5, 0.5])
    .option('--std <R,G,B>', 'standard deviation of the channels', triple, [0.5, 0.5, 0.5])
    .option('--order <ORDER>', 'RGB or BGR', oneOf('RGB', 'BGR'), 'RGB')
    .option('--size <WxH>', "the picture's size, where the model leaves it open", size);
}

/**
 * How a picture becomes the input of `graph`: what the suite says, or the options with the sizes and the layout that the
 * graph's picture input declares. Throws `INVALID_ARGUMENT` where there is no such input or its size is open.
 */
export async function pictureInput(graph: Graph, options: PictureOptions): Promise<InputSpec> {
  if (options.suite !== undefined) return (await openSuite(options.suite)).input;
  for (const { name, type } of trueInputs(mainGraph(graph))) {
    const shape = tensorTypeOf(type)?.shape;
    if (shape?.length !== 4 || (shape[1] !== 3 && shape[3] !== 3)) continue;
    const layout = shape[1] === 3 ? 'NCHW' : 'NHWC';
    const [height, width] = layout === 'NCHW' ? shape.slice(2) : shape.slice(1, 3);
    const [w, h] = options.size ?? [width, height];
    if (typeof w !== 'number' || typeof h !== 'number') {
      throw new IsthmusError(
        'INVALID_ARGUMENT',
        `input '${name}' is [${shape}]; name the picture's size with --size WxH`,
      );
    }
    const { mean, std, order } = options;
    return { name, width: w, height: h, layout, order, mean, std };
  }
  throw new IsthmusError(
    'INVALID_ARGUMENT',
    'the model has no input of the form [batch, 3, height, width] or [batch, height, width, 3]',
  );
}

function triple(text: string): Triple {
  const numbers = text.split(',').map(Number);
  if (numbers.length !== 3 || !numbers.every(Number.isFinite))
    throw new InvalidArgumentError('three numbers, such as 0.485,0.456,0.406');
  return numbers as Triple;
}

function size(text: string): [number, number] {
  const match = /^(\d{1,5})x(\d{1,5})$/.exec(text);
  if (!match) throw new InvalidArgumentError('width and height, such as 224x224');
  return [Number(match[1]), Number(match[2])];
}

function oneOf<T extends string>(...values: T[]): (text: string) => T {
  return (text) => {
    const found = values.find((value) => value === text.toUpperCase());
    if (!found) throw new InvalidArgumentError(`one of ${values.join(', ')}`);
    return found;
  };
}
