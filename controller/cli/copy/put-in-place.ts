import { lstat, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { CliError } from '../command.ts';

/**
 * Puts a file or folder where it belongs, on the same file system. A folder is put together with one that is there, files are
 * replaced, links are never followed. Throws, before anything is changed, where a file meets a folder.
 */
export async function putInPlace(from: string, to: string): Promise<void> {
  for (const [source, final] of await moves(from, to)) {
    await rename(source, final).catch((error: unknown) => {
      throw new CliError(`${final} cannot be put there: ${error instanceof Error ? error.message : String(error)}`);
    });
  }
}

async function moves(from: string, to: string): Promise<(readonly [string, string])[]> {
  const present = await lstat(to).catch(() => null);
  if (present === null) return [[from, to]];
  const comesFolder = (await lstat(from)).isDirectory();
  if (comesFolder !== present.isDirectory()) {
    const what = comesFolder ? 'no folder, and a folder comes' : 'a folder, and a file comes';
    throw new CliError(`${to} is ${what}: nothing is copied`);
  }
  if (!comesFolder) return [[from, to]];
  const names = await readdir(from);
  return (await Promise.all(names.map((name) => moves(join(from, name), join(to, name))))).flat();
}
