import { ByteReader, ByteWriter } from '../bytes.ts';
import { crc32 } from '../crc.ts';
import { IsthmusError } from '../errors.ts';

/*
 * A zip of stored entries and nothing else (PKWARE APPNOTE 6.3.10, sections 4.3.7, 4.3.12, 4.3.16): no compression,
 * no folders, no comments, no extra fields, no zip64, all times 1980-01-01. A list of entries has exactly one archive, so
 * the reader takes the entries out, writes them again and compares: overlaps, gaps, duplicates and lies in a
 * directory cannot stand.
 */
const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const VERSION = 20;
const DATE_1980 = 0x21;
const NAME = /^[a-z0-9][a-z0-9.-]{0,63}$/;
/** Three entries for each of 64 tensors, codec.json and the card; counted while reading, so that no list grows without end. */
const MOST_ENTRIES = 3 * 64 + 2;

export type Entries = ReadonlyMap<string, Uint8Array>;

/** The archive of `entries`, in their order. Names are flat: lower-case letters, digits, dots and hyphens. */
export function writeArchive(entries: Entries): Uint8Array {
  const writer = new ByteWriter();
  const directory = new ByteWriter();
  for (const [name, bytes] of entries) {
    const offset = writer.length;
    const encoded = new TextEncoder().encode(name);
    const fields = (to: ByteWriter): ByteWriter =>
      to
        .u16(VERSION)
        .u16(0)
        .u16(0)
        .u16(0)
        .u16(DATE_1980)
        .u32(crc32(bytes))
        .u32(bytes.length)
        .u32(bytes.length)
        .u16(encoded.length)
        .u16(0);
    fields(writer.u32(LOCAL)).put(encoded).put(bytes);
    fields(directory.u32(CENTRAL).u16(VERSION)).u16(0).u16(0).u16(0).u32(0).u32(offset).put(encoded);
  }
  const start = writer.length;
  const index = directory.finish();
  writer.put(index).u32(END).u16(0).u16(0).u16(entries.size).u16(entries.size);
  return writer.u32(index.length).u32(start).u16(0).finish();
}

/** The entries, as views of `archive`. Throws `CODEC_INVALID` for anything that {@link writeArchive} would not write. */
export function readArchive(archive: Uint8Array): Entries {
  const invalid = (why: string, cause?: unknown): IsthmusError =>
    new IsthmusError('CODEC_INVALID', `not a codec file: ${why}`, { cause });
  const reader = new ByteReader(archive, 'CODEC_INVALID', 'codec file');
  const entries = new Map<string, Uint8Array>();
  while (archive.length >= 4 && reader.remaining >= 4 && reader.u32() === LOCAL) {
    reader.take(10);
    const checksum = reader.u32();
    const size = reader.u32();
    reader.take(4);
    const nameLength = reader.u16();
    reader.take(2);
    const name = new TextDecoder('latin1').decode(reader.take(nameLength));
    const bytes = reader.take(size);
    if (!NAME.test(name) || entries.has(name)) {
      throw invalid(`entry name ${JSON.stringify(name.slice(0, 64))} is not allowed or stands twice`);
    }
    if (entries.size === MOST_ENTRIES) throw invalid(`it has more than ${MOST_ENTRIES} entries`);
    if (crc32(bytes) !== checksum) throw invalid(`entry ${name} does not match its checksum; the file is damaged`);
    entries.set(name, bytes);
  }
  const again = writeArchive(entries);
  if (again.length !== archive.length || again.some((byte, i) => byte !== archive[i])) {
    throw invalid('it is no zip of stored entries as isthmus writes it, or it is cut short');
  }
  return entries;
}
