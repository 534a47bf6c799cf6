import { mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { extract } from 'tar-fs';
import type { Spoonbox } from '../../sdk/connect.ts';
import { CliError } from '../command.ts';
import { counted } from './counted.ts';
import { jobIn } from './job-in.ts';

/** $1 what, $2 whether folders too. */
const script = `set -eu
from=\${1:-.}
if [ -d "$from" ] && [ "$2" != 1 ]; then echo "$from is a folder: copy it with -r" >&2; exit 1; fi
if [ ! -e "$from" ] && [ ! -L "$from" ]; then echo "$from is not there" >&2; exit 1; fi
if [ -d "$from" ]; then cd -- "$from"; from=$(basename -- "$(pwd)"); cd ..; else cd -- "$(dirname -- "$from")"; from=$(basename -- "$from"); fi
exec tar -c -f - -- "./$from"`;

/** Copies one file or folder of a box to this machine. Nothing is written outside of the target, whatever the box sends. */
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
  const dir = isFolder ? target : dirname(target);
  const unfinished = await mkdtemp(join(dir, '.spoonbox-cp-')).catch((error: unknown) => {
    throw new CliError(`nothing can be written in ${dir}: ${error instanceof Error ? error.message : String(error)}`);
  });
  try {
    const command = ['sh', '-c', script, 'spoonbox-cp', of.path, of.recursive ? '1' : '0'];
    const bytes = new PassThrough();
    // It keeps links below the folder and refuses what would leave it.
    const taken = pipeline(counted(bytes, onProgress), extract(unfinished, { readable: true, writable: true }));
    const sent = jobIn(spoonbox, { user: of.user, command, stdout: bytes }, signal).then(
      () => bytes.end(),
      (error: unknown) => {
        bytes.destroy();
        throw error;
      },
    );
    const [wasSent, wasTaken] = await Promise.allSettled([sent, taken]);
    if (wasSent.status === 'rejected') throw wasSent.reason;
    if (wasTaken.status === 'rejected') throw new CliError(`what the box sent is refused: ${wasTaken.reason}`);
    const [name] = await readdir(unfinished);
    if (name === undefined) throw new CliError(`the box of ${of.user} sent nothing`);
    const final = isFolder ? join(target, basename(name)) : target;
    await rename(join(unfinished, name), final).catch((error: unknown) => {
      throw new CliError(`${final} cannot be put there: ${error instanceof Error ? error.message : String(error)}`);
    });
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}
