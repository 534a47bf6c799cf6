import { randomUUID } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** It holds hashes of tokens, and who there is. */
const ownerOnly = 0o600;

/** What is written becomes the file at `path` once it is whole and on the disk; until then, and when `fill` throws, that one stays. */
export async function writeWhole<Value>(
  path: string,
  fill: (write: (text: string) => Promise<void>) => Promise<Value>,
): Promise<Value> {
  // No two have one name: in containers pids are alike, and one that was killed leaves it.
  const partial = `${path}.partial-${randomUUID()}`;
  const file = await open(partial, 'wx', ownerOnly);
  try {
    const value = await fill((text) => file.appendFile(text));
    await file.sync();
    await file.close();
    await rename(partial, path);
    await syncFolder(dirname(path));
    return value;
  } catch (error) {
    await file.close().catch(() => {});
    await rm(partial, { force: true });
    throw error;
  }
}

/** The new name is on the disk, too. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
