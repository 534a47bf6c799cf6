import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeStateDir, places } from './places.ts';
import { codeOf, Refusal, reasonOf } from './refusal.ts';
import { surviveLostTerminal } from './steps.ts';

const exitRefused = 1;
const exitUsage = 2;
const exitInterrupted = 130;

export interface Interruption {
  /** Aborted by the first Ctrl-C, SIGTERM or SIGHUP. */
  readonly signal: AbortSignal;
  /** Aborted by the second: leave at once. */
  readonly urgent: AbortSignal;
}

/** Runs a script's main: what it throws becomes one line and an exit code; what is a bug leaves its stack in a log. */
export async function runScript(name: string, main: (interruption: Interruption) => Promise<number>): Promise<void> {
  surviveLostTerminal();
  const first = new AbortController();
  const second = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      // A terminal that closes after a Ctrl-C is no second wish.
      if (first.signal.aborted && signal !== 'SIGHUP') second.abort(new Refusal('interrupted again'));
      first.abort(new Refusal('interrupted'));
    });
  }
  let code: number;
  try {
    code = await main({ signal: first.signal, urgent: second.signal });
  } catch (error) {
    code = first.signal.aborted ? exitInterrupted : exitRefused;
    process.stderr.write(`${name}: ${first.signal.aborted ? 'interrupted' : tell(name, error)}\n`);
  }
  // What is still open here (a keep-alive socket to the engine) has no work left in it.
  process.exit(code);
}

/** The flags of a script, all of them switches; an exit code after `--help` or a mistake was answered. */
export function readFlags<Name extends string>(
  usage: string,
  names: readonly Name[],
  args: readonly string[],
): ReadonlySet<Name> | number {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: Object.fromEntries(['help', ...names].map((flag) => [flag, { type: 'boolean' as const }])),
    });
    if (values.help === true) {
      process.stdout.write(`${usage}\n`);
      return 0;
    }
    return new Set(names.filter((flag) => values[flag] === true));
  } catch (error) {
    process.stderr.write(`${reasonOf(error)}\n\n${usage}\n`);
    return exitUsage;
  }
}

function tell(name: string, error: unknown): string {
  if (error instanceof Refusal) return error.message;
  if (codeOf(error) === 'ENOSPC') return `no space left on the disk: free some, then try again (${reasonOf(error)})`;
  const log = join(places.logs, 'scripts.log');
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  try {
    makeStateDir();
    appendFileSync(log, `${new Date().toISOString()} ${name}: ${detail}\n`);
  } catch (failure) {
    return `${reasonOf(error)} (and its details could not be written to ${log}: ${reasonOf(failure)})`;
  }
  return `${reasonOf(error)} (unexpected; details in ${log})`;
}
