import { Writable } from 'node:stream';
import { maxFileBytes } from '#shared/vault.ts';
import type { Spoonbox } from '../../sdk/connect.ts';
import { CliError } from '../command.ts';
import { printable } from '../output.ts';

/** $1 path, $2 bytes at the most. Exit code 3: there is nothing. */
const script = `cd || exit 1
if [ -f "./$1" ]; then stat -L -c %a "./$1" && head -c "$2" "./$1"
elif [ -e "./$1" ] || [ -L "./$1" ]; then printf '%s is no file\\n' "$1" >&2; exit 1
else exit 3; fi`;
const nothingThere = 3;

export interface FileInBox {
  /** four octal digits */
  readonly mode: string;
  readonly content: Buffer;
}

/** A file of a user's home, by its path below it; null = there is none. The box is started if it is not there. */
export async function fileInBox(
  spoonbox: Spoonbox,
  user: string,
  path: string,
  signal: AbortSignal,
): Promise<FileInBox | null> {
  const parts: Buffer[] = [];
  const stdout = new Writable({
    write(chunk: Buffer, _encoding, done) {
      parts.push(chunk);
      done();
    },
  });
  const command = ['sh', '-c', script, 'spoonbox-vault', path, String(maxFileBytes + 1)];
  const { exitCode, stderr } = await spoonbox.exec(user, command, { stdout, signal });
  if (exitCode === nothingThere) return null;
  if (exitCode !== 0) {
    throw new CliError(
      `${path} cannot be read in the box of ${user}: ${printable(stderr.trim()) || `exit code ${exitCode}`}`,
    );
  }
  const all = Buffer.concat(parts);
  const end = all.indexOf('\n');
  const content = all.subarray(end + 1);
  if (content.length > maxFileBytes) {
    throw new CliError(`${path} is larger than ${maxFileBytes} bytes, which is the most that a vault takes`);
  }
  return { mode: all.toString('latin1', 0, end).slice(-3).padStart(4, '0'), content };
}
