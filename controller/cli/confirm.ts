import { createInterface } from 'node:readline/promises';
import { CliError, exitCodes } from './command.ts';

export const yesOption = { yes: { type: 'boolean', short: 'y', default: false } } as const;

/** Asks a person before what cannot be undone. Without a terminal, or with `--yes`, nobody is asked. */
export async function mayGoOn(what: string, yes: boolean, signal: AbortSignal): Promise<boolean> {
  if (yes || process.stdin.isTTY !== true || process.stderr.isTTY !== true) return true;
  const line = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await line.question(`${what}. Go on? [y/N] `, { signal });
    return /^y(es)?$/i.test(answer.trim());
  } catch {
    // Ctrl-C or Ctrl-D at the question.
    signal.throwIfAborted();
    throw new CliError('interrupted: nothing is done', exitCodes.interrupted);
  } finally {
    line.close();
  }
}
