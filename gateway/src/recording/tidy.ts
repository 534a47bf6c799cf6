import { lstat, readdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf } from '#shared/faults.ts';
import { UserName } from '#shared/identity.ts';
import type { RecordingLimits } from './limits.ts';

/** What `fileNameOf` makes, and nothing else: a file that somebody has renamed is theirs, and stays. */
const ours = /^[A-Za-z0-9][A-Za-z0-9_-]{0,47}-\d{8}T\d{6}\.\d{3}Z\.cast$/;

export function fileNameOf(session: string, atMs: number): string {
  return `${session}-${new Date(atMs).toISOString().replace(/[-:]/g, '')}.cast`;
}

interface Recording {
  readonly path: string;
  readonly changedAt: number;
  readonly bytes: number;
}

export interface TidyOptions {
  readonly limits: Pick<RecordingLimits, 'maxAgeMs' | 'userBytes'>;
  readonly nowMs: number;
  /** files that this process writes: they count, and stay */
  readonly written: ReadonlySet<string>;
}

/**
 * Removes a user's oldest recordings: those past the age, and until the rest is within the total. Links are not followed, and
 * nothing else is touched. Resolves with the paths that were removed; `refused` is told what could not be.
 */
export async function tidyUser(
  dir: string,
  { limits, nowMs, written }: TidyOptions,
  refused: (path: string, error: unknown) => void,
): Promise<string[]> {
  if (!(await isOwnDirectory(dir))) return [];
  const newestFirst = (await recordingsIn(dir)).sort((a, b) => b.changedAt - a.changedAt);
  const removed: string[] = [];
  let keptBytes = 0;
  for (const { path, changedAt, bytes } of newestFirst) {
    keptBytes += bytes;
    if (written.has(path)) continue;
    if (nowMs - changedAt <= limits.maxAgeMs && keptBytes <= limits.userBytes) continue;
    try {
      await unlink(path);
      removed.push(path);
    } catch (error) {
      if (!isMissing(error)) refused(path, error);
    }
  }
  return removed;
}

/** The directories of all users that have recordings. */
export async function userDirectories(root: string): Promise<string[]> {
  if (!(await isOwnDirectory(root))) return [];
  const entries = await readdir(root, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory() && UserName.safeParse(entry.name).success)
    .map((entry) => join(root, entry.name));
}

async function recordingsIn(dir: string): Promise<Recording[]> {
  const found: Recording[] = [];
  for (const name of await readdir(dir)) {
    if (!ours.test(name)) continue;
    const path = join(dir, name);
    const stats = await lstat(path).catch(nullIfMissing);
    if (stats?.isFile()) found.push({ path, changedAt: stats.mtimeMs, bytes: stats.size });
  }
  return found;
}

/** A real one; a link is somebody else's idea of where our files are. */
export async function isOwnDirectory(dir: string): Promise<boolean> {
  const stats = await lstat(dir).catch(nullIfMissing);
  return stats?.isDirectory() ?? false;
}

/** Another gateway has removed it first. */
function nullIfMissing(error: unknown): null {
  if (isMissing(error)) return null;
  throw error;
}

function isMissing(error: unknown): boolean {
  return codeOf(error) === 'ENOENT';
}
