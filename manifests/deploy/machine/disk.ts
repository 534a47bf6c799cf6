import { statfsSync } from 'node:fs';
import { Refusal } from './refusal.ts';

const neededBytes = 1024 ** 3;

/** Refuses in one line when less than 1 GiB is free where `path` is; a path that this machine does not have is skipped. */
export function requireSpace(path: string, what: string): void {
  const stats = statfsSync(path, { bigint: false });
  const freeBytes = stats.bavail * stats.bsize;
  if (freeBytes >= neededBytes) return;
  const freeMiB = Math.floor(freeBytes / 1024 ** 2);
  throw new Refusal(`only ${freeMiB} MiB are free in ${path} (${what}), 1024 are needed: free some, then try again`);
}
