import { chmod, lstat, mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { dirname, join, posix, resolve } from 'node:path';
import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type ExtractOptions, extract } from 'tar-fs';
import type { Spoonbox } from '../../sdk/connect.ts';
import { CliError, usageError } from '../command.ts';
import { printable } from '../output.ts';
import { counted } from './counted.ts';
import { jobIn } from './job-in.ts';
import { putInPlace } from './put-in-place.ts';

/** $1 what, $2 whether folders too. A folder is sent from its inside, and a link that is named as what it leads to. */
const script = `set -eu
from=\${1:-.}; shown=$from
case $from in /*) ;; *) from=./$from;; esac
if [ -d "$from" ]; then
  if [ "$2" != 1 ]; then echo "$shown is a folder: copy it with -r" >&2; exit 1; fi
  cd -P -- "$from"; exec tar -c -f - .
elif [ -f "$from" ]; then cd -- "$(dirname -- "$from")"; exec tar -c -h -f - -- "./$(basename -- "$from")"
elif [ -e "$from" ]; then echo "$shown is neither a file nor a folder" >&2; exit 1
else echo "$shown is not there" >&2; exit 1; fi`;

/** The owner must be able to put things into a folder that comes, and to take them out of it. */
const folderMode = 0o700;

/**
 * Copies one file or folder of a box to this machine.
 *
 * INVARIANTS
 * - Whatever the box sends: nothing is written outside of the target, nothing under a name that was not asked for, and a folder
 *   only where folders were asked for. Who is in the box says what a file has in it, and no more.
 * - What is there is replaced when all has come, and refused where a file meets a folder.
 */
export async function copyFrom(
  spoonbox: Spoonbox,
  of: { user: string; path: string; file: string; recursive: boolean },
  onProgress: (bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const target = resolve(of.file);
  const isFolder = await stat(target).then(
    (found) => found.isDirectory(),
    () => false,
  );
  const final = isFolder ? join(target, nameOf(of)) : target;
  if (!isFolder && of.file.endsWith('/')) throw new CliError(`${of.file} is no folder`);
  if (posix.normalize(of.path) === '/') throw new CliError('the whole of a box is not copied: name a folder in it');
  const dir = dirname(final);
  const unfinished = await mkdtemp(join(dir, '.spoonbox-cp-')).catch((error: unknown) => {
    throw new CliError(`nothing can be written in ${dir}: ${error instanceof Error ? error.message : String(error)}`);
  });
  try {
    const inside = join(unfinished, 'sent');
    await mkdir(inside);
    const { folder } = await receive(spoonbox, of, inside, onProgress, signal);
    if (folder) await chmod(inside, (folder.mode | folderMode) & 0o777 & ~process.umask());
    await putInPlace(folder ? inside : await onlyFile(inside, of), final);
  } finally {
    await rm(unfinished, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** What the copy is called where its folder is there. */
function nameOf({ user, path }: { user: string; path: string }): string {
  const name = posix.basename(posix.normalize(path || '.'));
  if (name !== '' && name !== '.' && name !== '..') return name;
  throw usageError(`${user}:${path} has no name of its own: say what it is to be called here, as ./${user}-home`, 'cp');
}

/** Reads what the box sends into `inside`, and tells whether it is a folder, which that is then. */
async function receive(
  spoonbox: Spoonbox,
  of: { user: string; path: string; recursive: boolean },
  inside: string,
  onProgress: (bytes: number) => void,
  signal: AbortSignal,
): Promise<{ readonly folder: { readonly mode: number } | null }> {
  const command = ['sh', '-c', script, 'spoonbox-cp', of.path, of.recursive ? '1' : '0'];
  const bytes = new PassThrough();
  const came: { readonly folder: { readonly mode: number } | null }[] = [];
  const options: ExtractOptions & { readonly chown: false } = {
    dmode: folderMode,
    chown: false,
    map(header) {
      if (came.length === 0) came.push({ folder: header.type === 'directory' ? { mode: header.mode ?? 0 } : null });
      return header;
    },
  };
  // It keeps links below the folder and refuses what would leave it.
  const unpack = extract(inside, options);
  // What fails first is the reason; the other side must not wait for ever.
  const failures: unknown[] = [];
  const sent = jobIn(spoonbox, { user: of.user, command, stdout: bytes }, signal).then(
    () => bytes.end(),
    (error: unknown) => {
      failures.push(error);
      bytes.destroy();
    },
  );
  const taken = pipeline(counted(bytes, onProgress), unpack).catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error);
    failures.push(new CliError(`what the box sent is refused: ${printable(why)}`));
    bytes.destroy();
  });
  await Promise.all([sent, taken]);
  if (failures.length > 0) throw failures[0];
  const [first] = came;
  if (first === undefined) throw new CliError(`the box of ${of.user} sent nothing`);
  if (first.folder && !of.recursive) {
    throw new CliError(`the box of ${of.user} sent a folder where a file was asked for`);
  }
  return first;
}

async function onlyFile(inside: string, { user }: { user: string }): Promise<string> {
  const [name, ...more] = await readdir(inside);
  const file = join(inside, name ?? '');
  if (name === undefined || more.length > 0 || !(await lstat(file)).isFile()) {
    throw new CliError(`the box of ${user} sent something else than one file or folder: nothing is copied`);
  }
  return file;
}
