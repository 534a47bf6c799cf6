import type { BigIntStats } from 'node:fs';
import { lstat, readdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf } from '#shared/faults.ts';
import { recordingsFolder, trashFolder } from '#shared/workdir.ts';
import { homesFolder } from '../runtime/home.ts';

/** A directory directly below the work directory in which the earlier worker had the checkout of one job. */
export interface JobDirectory {
  readonly name: string;
  /** its inode and that of its `repo`, in the form that `HostEngine.throwAway` compares */
  readonly inode: string;
  /** when something in its first three levels was changed last, ms since 1970 by the disk */
  readonly changedAtMs: number;
}

/** Plain names only. A user may be called `repo`, and then the folders of all homes look like a job with a checkout. */
const namePattern = /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/;
const ours: ReadonlySet<string> = new Set([homesFolder, recordingsFolder]);

/**
 * Directories with a checkout in `repo`, and nothing else: no link at any level, no folder of ours, nor one to which a link of an
 * operator in its place leads. Nothing is read but what they are. `onUnreadable`: that one cannot be told. `among`: no others
 * are looked at.
 */
export async function jobDirectories(
  workdir: string,
  onUnreadable: (name: string, why: string) => void,
  among?: readonly string[],
): Promise<JobDirectory[]> {
  const all = among ?? (await readdir(workdir));
  const names = all.filter((name) => namePattern.test(name) && !ours.has(name)).toSorted();
  const kept = await Promise.all([...ours].map((name) => whereIs(join(workdir, name))));
  const root = await realpath(workdir);
  const found: JobDirectory[] = [];
  for (const name of names) {
    if (kept.some((path) => `${path}/`.startsWith(`${join(root, name)}/`))) continue;
    try {
      const directory = await looked(join(workdir, name));
      if (directory === null || !directory.isDirectory()) continue;
      const repo = await looked(join(workdir, name, 'repo'));
      if (repo === null || !repo.isDirectory()) continue;
      const git = await looked(join(workdir, name, 'repo', '.git'));
      if (git === null || git.isSymbolicLink()) continue;
      const changedAtMs = Math.max(...[directory, repo, git].map(({ mtimeMs }) => Number(mtimeMs)));
      found.push({ name, inode: `${directory.ino}:${repo.ino}:`, changedAtMs });
    } catch (error) {
      onUnreadable(name, error instanceof Error ? error.message : String(error));
    }
  }
  return found;
}

/** Names in the trash: what was thrown away and not removed to its end. */
export async function namesInTrash(workdir: string): Promise<string[]> {
  const trash = join(workdir, trashFolder);
  const found = await looked(trash);
  return found?.isDirectory() ? (await readdir(trash)).toSorted() : [];
}

/** Links followed; null: nothing is there, or what is cannot be told. */
async function whereIs(path: string): Promise<string | null> {
  return await realpath(path).catch(() => null);
}

/** null: nothing is there. Inodes of some file systems are larger than a number can tell exactly. */
async function looked(path: string): Promise<BigIntStats | null> {
  try {
    return await lstat(path, { bigint: true });
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}
