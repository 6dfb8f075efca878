/** What files that are taken for ONNX models start with, and what to say of them. */
const STARTS: readonly (readonly [start: string, kind: string])[] = [
  [
    'PK\x03\x04',
    'a zip archive (of PyTorch, Keras or NumPy, or a packed download): unpack it or export the model to ONNX',
  ],
  ['\x80\x02', 'a Python pickle, as PyTorch saves weights: export the model with torch.onnx.export'],
  ['\x80\x03', 'a Python pickle: export the model to ONNX'],
  ['\x80\x04', 'a Python pickle: export the model to ONNX'],
  ['\x80\x05', 'a Python pickle: export the model to ONNX'],
  ['version https://git-lfs', 'a Git LFS pointer: run `git lfs pull` to fetch the model itself'],
  ['\x89HDF', 'an HDF5 file, as Keras saves models: convert it with tf2onnx'],
  ['GGUF', 'a GGUF model, which has weights and no graph'],
  ['\x93NUMPY', 'a NumPy array'],
  ['\xff\xd8\xff', 'a JPEG image'],
  ['\x89PNG', 'a PNG image'],
  ['GIF8', 'a GIF image'],
  ['RIFF', 'a RIFF file (WebP, WAV or AVI)'],
  ['%PDF', 'a PDF document'],
  ['\x1f\x8b', 'gzip-compressed: unpack it'],
  ['BZh', 'bzip2-compressed: unpack it'],
  ['\xfd7zXZ', 'xz-compressed: unpack it'],
  ['\x28\xb5\x2f\xfd', 'zstd-compressed: unpack it'],
  ['7z\xbc\xaf', 'a 7z archive: unpack it'],
  ['Rar!', 'a RAR archive: unpack it'],
  ['\x7fELF', 'a program'],
  ['MZ', 'a Windows program'],
  ['\0asm', 'a WebAssembly module'],
];

/** Marks that stand later in a file, by offset. */
const MARKS: readonly (readonly [offset: number, mark: string, kind: string])[] = [
  [4, 'TFL3', 'a TensorFlow Lite model: convert it with tf2onnx'],
  [4, 'ORTM', "a model in ONNX Runtime's own .ort format: use the .onnx file that it was made from"],
  [4, 'ftyp', 'an AVIF, HEIC or MP4 file'],
  [8, '{"', 'a safetensors file, which has weights and no graph: export the model to ONNX'],
  [257, 'ustar', 'a tar archive: unpack it'],
];

/** What a file that is no ONNX model seems to be; `undefined` where nothing is recognized. */
export function kindOfFile(bytes: Uint8Array): string | undefined {
  if (bytes.length === 0) return 'an empty file';
  const head = String.fromCharCode(...bytes.subarray(0, 512));
  const start = STARTS.find(([mark]) => head.startsWith(mark));
  if (start !== undefined) return start[1];
  const later = MARKS.find(([offset, mark]) => head.startsWith(mark, offset));
  if (later !== undefined) return later[2];
  return bytes.subarray(0, 512).every((byte) => byte === 0) ? 'a file of zeros' : kindOfText(head);
}

function kindOfText(head: string): string | undefined {
  // A control character other than tab, line feed and carriage return is not in text.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/.test(head)) return undefined;
  const text = head.trimStart().toLowerCase();
  if (text.startsWith('<!doctype html') || text.startsWith('<html')) {
    return 'an HTML page, as a download gives that asks to log in: fetch the file itself';
  }
  if (text.startsWith('<?xml')) return 'an XML file';
  if (text.startsWith('{')) return 'a JSON file';
  if (text.startsWith('ir_version') || text.includes('ir_version:')) {
    return "a model in protobuf's text format: write it in the binary format with onnx.save";
  }
  return 'a text file';
}
