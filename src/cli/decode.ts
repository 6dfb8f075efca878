import type { Command } from 'commander';
import { type Codec, openTransforms } from '../codec/index.ts';
import { readWhole } from '../files.ts';
import { DEFAULT_LIMITS } from '../limits.ts';
import { openSession } from '../runtime/index.ts';
import { printable } from '../table.ts';
import type { Tensor } from '../tensor.ts';
import { openCodec } from './codec-file.ts';
import { writeNpy } from './npy.ts';

interface Options {
  codec: string;
  out: string;
  json?: boolean;
}

/** Adds `isthmus decode`. */
export function addDecode(program: Command): void {
  program
    .command('decode')
    .summary('read a packet back into the feature')
    .description(
      'Checks a packet and writes the feature as .npy: FILE.npy, or FILE-0.npy, FILE-1.npy … for several tensors.',
    )
    .argument('<packet>', 'the packet')
    .requiredOption('--codec <FILE>', 'the codec that made it')
    .requiredOption('--out <FILE.npy>', 'the feature to write')
    .option('--json', 'print the tensors written as JSON')
    .addHelpText('after', '\nExample:\n  isthmus decode photo.packet --codec block6.codec --out feature.npy')
    .action(decode);
}

async function decode(path: string, options: Options): Promise<void> {
  const codec = await openCodec(options.codec);
  const packet = await readWhole(path, DEFAULT_LIMITS, 'packetBytes', 'packet');
  const tensors = await decodeFeature(codec, packet);
  const files = tensors.map((_, i) =>
    tensors.length === 1 ? options.out : options.out.replace(/(\.npy)?$/, `-${i}.npy`),
  );
  for (const [i, tensor] of tensors.entries()) await writeNpy(files[i], tensor);
  const written = tensors.map(({ shape }, i) => ({ name: codec.features[i].name, shape, file: files[i] }));
  if (options.json) process.stdout.write(`${JSON.stringify(written)}\n`);
  else
    for (const { name, shape, file } of written)
      process.stdout.write(`${file}: ${printable(name)} [${shape.join(', ')}]\n`);
}

async function decodeFeature(codec: Codec, packet: Uint8Array): Promise<readonly Tensor[]> {
  const coded = codec.decode(packet);
  const transforms = await openTransforms(codec, openSession);
  try {
    return await transforms.synthesize(coded);
  } finally {
    await transforms.release();
  }
}
