import { readFile, stat } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { CliError } from '../command.ts';
import { hint } from '../output.ts';

/** `-` and nothing at all are standard input. `mode`: the file's permission bits; null = there is no file. */
export async function readInput(file: string | undefined): Promise<{ content: Buffer; mode: number | null }> {
  if (file === undefined || file === '-') {
    if (process.stdin.isTTY) hint('type it, and end with Ctrl-D on a line of its own');
    return { content: await buffer(process.stdin), mode: null };
  }
  try {
    return { content: await readFile(file), mode: (await stat(file)).mode & 0o777 };
  } catch (error) {
    throw new CliError(`${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}
