import type { Command } from 'commander';
import { type Codec, openTransforms } from '../codec/index.ts';
import { openDevice } from '../device.ts';
import { IsthmusError } from '../errors.ts';
import { writeBeside } from '../files.ts';
import { openGraph } from '../onnx/index.ts';
import { openSession } from '../runtime/index.ts';
import { fromFloat32, toFloat32 } from '../tensor.ts';
import { openCodec } from './codec-file.ts';
import { readNpy } from './npy.ts';
import { addPictureOptions, type PictureOptions, pictureInput } from './picture-input.ts';

interface Options extends PictureOptions {
  codec: string;
  out: string;
  head?: string;
  externalData?: boolean;
  json?: boolean;
}

/** Adds `isthmus encode`. */
export function addEncode(program: Command): void {
  const command = program
    .command('encode')
    .summary('code a picture or a feature into a packet')
    .description(
      'Codes into a packet what crosses the cut: a picture, run through the head first, or the feature itself from .npy files, ' +
        'one for each tensor at the cut in the order of the codec.',
    )
    .argument('<input...>', 'a picture (with --head), or .npy files')
    .requiredOption('--codec <FILE>', 'the codec file')
    .requiredOption('--out <PACKET>', 'the packet to write')
    .option('--head <MODEL>', 'the head that the picture goes through')
    .option('--external-data', 'read tensors that the head keeps in other files of its folder');
  addPictureOptions(command)
    .option('--json', 'print { packet, bytes } as JSON')
    .addHelpText(
      'after',
      `
Examples:
  isthmus encode photo.jpg --head parts/head.onnx --codec block6.codec --out photo.packet
  isthmus encode feature.npy --codec block6.codec --out feature.packet`,
    )
    .action(encode);
}

async function encode(inputs: string[], options: Options): Promise<void> {
  const codec = await openCodec(options.codec);
  const packet =
    options.head === undefined ? await encodeFeature(inputs, codec) : await encodePicture(inputs, options, codec);
  await writeBeside(options.out, [packet]);
  if (options.json) process.stdout.write(`${JSON.stringify({ packet: options.out, bytes: packet.length })}\n`);
  else process.stdout.write(`${options.out}: ${packet.length} bytes\n`);
}

async function encodeFeature(paths: readonly string[], codec: Codec): Promise<Uint8Array> {
  if (!paths.every((path) => path.endsWith('.npy'))) {
    throw new IsthmusError(
      'INVALID_ARGUMENT',
      'a picture goes through the head first: add --head MODEL, or give .npy files',
    );
  }
  const tensors = await Promise.all(paths.map(readNpy));
  const feature = tensors.map((value, i) =>
    fromFloat32(codec.features[i]?.dtype ?? 'float32', value.shape, toFloat32(value)),
  );
  const transforms = await openTransforms(codec, openSession);
  try {
    return codec.encode(await transforms.analyze(feature));
  } finally {
    await transforms.release();
  }
}

async function encodePicture(paths: readonly string[], options: Options, codec: Codec): Promise<Uint8Array> {
  if (paths.length !== 1)
    throw new IsthmusError('INVALID_ARGUMENT', `one picture makes one packet, got ${paths.length}`);
  const head = await openGraph(options.head as string, { externalData: options.externalData });
  const device = await openDevice({ input: await pictureInput(head, options), head, codec });
  try {
    return await device.encode(paths[0]);
  } finally {
    await device.release();
  }
}
