import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { lstat, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, posix } from 'node:path';
import type { RefusedEntry } from '#shared/vault-import.ts';
import type { VaultFile } from '#shared/vault.ts';
import { CliError, usageError } from '../command.ts';
import { type FoundFiles, maxEntries, placeBelow, whyNot } from './found-file.ts';

/**
 * The files of a git repository, at a branch, a tag or a commit. It is fetched by the git of this machine, which asks for passwords
 * and shows progress as ever, without history, into a folder that only this user can enter and that is removed at the end. Links
 * are refused by name: what they lead to may be anywhere.
 */
export async function filesOfGit(
  { url, ref, from }: { url: string; ref: string; from: string | null },
  signal: AbortSignal,
): Promise<FoundFiles> {
  if (!/^[^-+:][^:]*$/.test(ref)) throw usageError(`--ref ${ref} is no branch, tag or commit`, 'vault');
  const folder = await mkdtemp(join(tmpdir(), 'spoonbox-vault-'));
  try {
    // No template and no hook of this machine has a say in what is checked out.
    await git(['init', '--quiet', '--template=', folder], signal);
    const inFolder = ['-C', folder, '-c', 'core.hooksPath=/dev/null', '-c', 'core.autocrlf=false'];
    await git([...inFolder, 'fetch', '--quiet', '--depth=1', '--no-tags', '--', url, ref], signal);
    await git([...inFolder, 'checkout', '--quiet', 'FETCH_HEAD'], signal);
    return await filesIn(folder, from);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function git(args: readonly string[], signal: AbortSignal): Promise<void> {
  const child = spawn('git', args, { stdio: ['inherit', 'ignore', 'inherit'], signal });
  const [code] = await once(child, 'close').catch((error: unknown) => {
    signal.throwIfAborted();
    throw new CliError(`git cannot be run: ${error instanceof Error ? error.message : String(error)}`);
  });
  if (code !== 0) throw new CliError(`git ended with exit code ${String(code)}: what it said is above`);
}

async function filesIn(root: string, from: string | null): Promise<FoundFiles> {
  const files: VaultFile[] = [];
  const refused: RefusedEntry[] = [];
  let entries = 0;

  /** Never through a link: it may lead anywhere. */
  async function look(folder: string): Promise<void> {
    for (const entry of await readdir(join(root, folder), { withFileTypes: true })) {
      entries += 1;
      if (entries > maxEntries) throw new CliError(`the repository has more than ${maxEntries} entries: it is no home`);
      const path = posix.join(folder, entry.name);
      if (path === '.git') continue;
      if (entry.isDirectory()) {
        await look(path);
        continue;
      }
      const place = placeBelow(path, from);
      if (place === null) continue;
      const { size, mode } = await lstat(join(root, path));
      const why = entry.isFile() ? whyNot(place, size) : 'it is a link, and no file';
      if (why !== null) refused.push({ entry: path, why });
      // Git knows one bit of a mode; the others are as this machine makes files.
      else files.push({ path: place, mode: mode & 0o100 ? 0o755 : 0o644, content: await readFile(join(root, path)) });
    }
  }

  await look('');
  return { files, refused };
}
