import { createReadStream } from 'node:fs';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract, type Headers } from 'tar-fs';
import type { RefusedEntry } from '#shared/vault-import.ts';
import type { VaultFile } from '#shared/vault.ts';
import { CliError } from '../command.ts';
import { type FoundFiles, maxEntries, placeBelow, whyNot } from './found-file.ts';

/** Of what an archive unpacks to, wanted or not: a few bytes can be made to unpack for ever. */
const maxUnpackedBytes = 512 * 1024 * 1024;
const gzipMagic = Buffer.from([0x1f, 0x8b]);
const folders = new Set(['directory', 'pax-global-header']);

/**
 * The files of a tar archive, gzipped or not.
 *
 * INVARIANT: whatever is in the archive, nothing is written but files that a vault may hold, under numbers, in a folder that only
 * this user can enter and that is removed at the end. A link, a device, a path that leads out is refused by name.
 */
export async function filesOfArchive(archive: string, from: string | null, signal: AbortSignal): Promise<FoundFiles> {
  const inside = await mkdtemp(join(tmpdir(), 'spoonbox-vault-'));
  const wanted: { place: string; mode: number; number: string }[] = [];
  const refused: RefusedEntry[] = [];
  let entries = 0;

  /** Under which number it is unpacked; null: it is not. */
  function judge(header: Headers): string | null {
    entries += 1;
    if (entries > maxEntries) throw new CliError(`${archive} has more than ${maxEntries} entries: it is no home`);
    const place = placeBelow(header.name, from);
    if (place === null || folders.has(header.type ?? '')) return null;
    const why =
      header.type === 'file' ? whyNot(place, header.size ?? 0) : `it is a ${header.type ?? 'thing'}, and no file`;
    if (why !== null) {
      refused.push({ entry: header.name, why });
      return null;
    }
    const number = String(wanted.length);
    wanted.push({ place, mode: (header.mode ?? 0o644) & 0o777, number });
    return number;
  }

  const skipped = new WeakSet<Headers>();
  const unpack = extract(inside, {
    map(header) {
      const number = judge(header);
      // tar-fs hands the same object to `ignore`.
      if (number === null) skipped.add(header);
      else Object.assign(header, { name: number, mode: 0o600 });
      return header;
    },
    ignore: (_name, header) => header !== undefined && skipped.has(header),
  });
  try {
    const isZipped = (await firstBytes(archive, gzipMagic.length)).equals(gzipMagic);
    const stages = [createReadStream(archive), ...(isZipped ? [createGunzip()] : []), bounded(archive), unpack];
    await pipeline(stages, { signal });
    // Of two entries of one path the later counts, as where an archive is unpacked.
    const files = new Map<string, VaultFile>();
    for (const { place, mode, number } of wanted) {
      files.set(place, { path: place, mode, content: await readFile(join(inside, number)) });
    }
    return { files: [...files.values()], refused };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof CliError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new CliError(`${archive} cannot be read as a tar archive (plain, or with gzip): ${why}`);
  } finally {
    await rm(inside, { recursive: true, force: true });
  }
}

async function firstBytes(path: string, count: number): Promise<Buffer> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(count), 0, count, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

function bounded(archive: string): Transform {
  let bytes = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      if (bytes <= maxUnpackedBytes) done(null, chunk);
      else done(new CliError(`${archive} unpacks to more than ${maxUnpackedBytes} bytes: it is no home`));
    },
  });
}
