import { createHash } from 'node:crypto';
import { BackupEnd, BackupHeader, BackupSummary } from '#shared/backup.ts';
import { parseJson } from '#shared/json.ts';
import { z } from 'zod';
import { CliError, exitCodes } from '../command.ts';
import type { BackupFile } from './open-backup.ts';

/** The largest record is a user's whole vault, below 4 MiB. */
const maxLineBytes = 16 * 1024 * 1024;
const newline = 0x0a;
const gzipMagic = Buffer.of(0x1f, 0x8b);

const Line = z.looseObject({ kind: z.string() });
export type BackupLine = z.infer<typeof Line>;

export interface CheckedBackup {
  readonly header: BackupHeader;
  readonly summary: BackupSummary;
}

/** Reads all of it once; refuses what was cut off or changed. */
export async function checkBackup(file: BackupFile, signal: AbortSignal): Promise<CheckedBackup> {
  let first: BackupLine | null = null;
  let last: BackupLine | null = null;
  const { path } = file;
  for await (const line of backupLines(file, signal)) {
    first ??= line;
    last = line;
  }
  const header = BackupHeader.safeParse(first);
  if (!header.success) throw refused(path, 'its first line is no header of one');
  const summary = BackupSummary.safeParse(last);
  if (!summary.success) throw refused(path, 'it has no summary');
  return { header: header.data, summary: summary.data };
}

/** The records between header and summary. */
export async function* backupRecords(file: BackupFile, signal: AbortSignal): AsyncGenerator<BackupLine> {
  for await (const line of backupLines(file, signal)) {
    if (line.kind !== 'header' && line.kind !== 'summary') yield line;
  }
}

/** All lines but the end, whose digest is compared when all have been read: throws then, or as soon as a line is none. */
async function* backupLines(file: BackupFile, signal: AbortSignal): AsyncGenerator<BackupLine> {
  const { path } = file;
  const digest = createHash('sha256');
  let sha256: string | null = null;
  let number = 0;
  for await (const bytes of linesOf(file, signal)) {
    number += 1;
    if (sha256 !== null) throw refused(path, `something follows its end, in line ${number}`);
    if (number === 1 && bytes.subarray(0, gzipMagic.length).equals(gzipMagic)) {
      throw new CliError(`${path} is compressed: unpack it with gunzip, and restore that`);
    }
    const line = Line.safeParse(parseJson(bytes.toString('utf8')));
    if (!line.success) throw refused(path, `line ${number} is no record`);
    if (line.data.kind !== 'end') {
      digest.update(bytes);
      yield line.data;
      continue;
    }
    sha256 = BackupEnd.safeParse(line.data).data?.sha256 ?? '';
  }
  if (sha256 === null) throw refused(path, `it is cut off after line ${number}`);
  if (sha256 !== digest.digest('hex')) throw refused(path, 'it was changed since it was written');
}

/** Each with its newline; only the last one may have none. */
async function* linesOf(file: BackupFile, signal: AbortSignal): AsyncGenerator<Buffer> {
  let pieces: Buffer[] = [];
  let length = 0;
  for await (const chunk of chunksOf(file, signal)) {
    let from = 0;
    for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, from)) {
      yield Buffer.concat([...pieces, chunk.subarray(from, at + 1)]);
      pieces = [];
      length = 0;
      from = at + 1;
    }
    pieces.push(chunk.subarray(from));
    length += chunk.length - from;
    if (length > maxLineBytes) throw refused(file.path, 'it has a line that is too long');
  }
  if (length > 0) yield Buffer.concat(pieces);
}

async function* chunksOf({ path, handle }: BackupFile, signal: AbortSignal): AsyncGenerator<Buffer> {
  try {
    const stream = handle.createReadStream({ start: 0, autoClose: false, signal });
    for await (const chunk of stream) yield Buffer.from(chunk);
  } catch (error) {
    signal.throwIfAborted();
    const why = error instanceof Error ? error.message : String(error);
    throw new CliError(`${path} cannot be read: ${why}`, exitCodes.usage);
  }
}

function refused(path: string, why: string): CliError {
  return new CliError(`${path} is no whole backup: ${why}. Take another one`);
}
