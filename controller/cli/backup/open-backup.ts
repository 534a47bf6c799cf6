import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CliError, exitCodes } from '../command.ts';

/** A backup that can be read more than once, and is the same each time. */
export interface BackupFile {
  /** for people */
  readonly path: string;
  readonly handle: FileHandle;
}

/** What comes through a pipe, as `/dev/stdin` by compose, is kept in a file without a name for that. The caller closes it. */
export async function openBackup(path: string, signal: AbortSignal): Promise<BackupFile> {
  try {
    const handle = await open(path);
    if ((await handle.stat()).isFile()) return { path, handle };
    return { path, handle: await kept(handle, signal) };
  } catch (error) {
    signal.throwIfAborted();
    const why = error instanceof Error ? error.message : String(error);
    throw new CliError(`${path} cannot be read: ${why}`, exitCodes.usage);
  }
}

async function kept(pipe: FileHandle, signal: AbortSignal): Promise<FileHandle> {
  const path = join(tmpdir(), `spoonbox-restore-${randomBytes(8).toString('hex')}`);
  const handle = await open(path, 'wx+', 0o600);
  try {
    await rm(path);
    await handle.writeFile(pipe.createReadStream({ signal }), { signal });
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}
