import { parseArgs } from 'node:util';
import { LeasePriority } from '#shared/lease.ts';
import type { LeasedBox } from '../../sdk/leased-box.ts';
import { checkoutHelp, checkoutIn, checkoutOptions } from '../checkout-options.ts';
import { type Command, commonOptions, durationMs, oneOf, parsed, usageError, userOf, waitOf } from '../command.ts';
import { openSpoonbox } from '../open-client.ts';
import { personHere } from '../person.ts';
import { hint, printable, statusLine } from '../output.ts';
import { ownPartOf, passesStdin, splitCommand } from '../split-command.ts';
import { waitingLine } from '../waiting-text.ts';

const options = {
  ...commonOptions,
  ...checkoutOptions,
  class: { type: 'string' },
  priority: { type: 'string' },
  holder: { type: 'string' },
  directory: { type: 'string' },
  ttl: { type: 'string', default: '60s' },
  wait: { type: 'string', default: '10m' },
  stdin: { type: 'boolean', short: 'i', default: false },
  'no-stdin': { type: 'boolean', short: 'n', default: false },
} as const;

export const run: Command = {
  name: 'run',
  summary: "hold a user's box exactly while a command runs in it",
  help: `Takes a job lease, waits until the box is ready, runs a command in it, and gives the lease back, however the command
ended. Standard input, output and error are the command's own. The exit code is the command's, or 255 when it has none, or
when the lease was lost meanwhile (an operator reaped the box); why is said. Ctrl-C, TERM and HUP here end the command there,
and then the lease. Whatever kills this one: the gateway ends the command, and the lease ends by its ttl.

Usage: spoonbox run [options] USER [--] COMMAND [ARGUMENT…]

Options
  --class CLASS     the class that the box is to have
  --holder WHO      who holds it, for people (default: you)
  --priority P      low, normal (default) or high: where more boxes are asked for than may be there
  --ttl TIME        how long the lease outlives a kill -9 of this one: 10s to 5m (default 60s); it is renewed meanwhile
  --wait TIME       wait until the box is ready, at most this long (default 10m); then it ends with 75
  --directory DIR   where the command starts, below the home
${checkoutHelp}
  -i, --stdin       pass standard input (default: unless it is a terminal)
  -n, --no-stdin    do not: the command reads an empty input

Examples
  spoonbox run alice -- make test
  spoonbox run alice --class large --holder nightly -- sh -c 'git pull && make release'
  spoonbox run --spoon shop --branch fix/tax --clone https://git.example.org/shop.git alice -- make test
  tar c . | spoonbox run alice --directory Code -- tar x`,
  ownPart: (args) => ownPartOf(options, args),
  async run(args, signal) {
    const { own, command } = splitCommand('run', options, args);
    const { values, positionals } = parsed('run', () => parseArgs({ args: [...own], options, allowPositionals: true }));
    const user = userOf('run', positionals);
    if (command.length === 0 || command[0] === '') throw usageError('COMMAND is missing', 'run');
    const checkout = checkoutIn('run', values);
    const timeoutMs = waitOf('run', values.wait);
    // The first signal ends the command and the lease; another one must not come between.
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => {});
    const box = await openSpoonbox(values).lease({
      user,
      holder: values.holder ?? personHere(),
      ttlMs: durationMs('run', 'ttl', values.ttl),
      ...(values.priority === undefined
        ? {}
        : { priority: oneOf('run', 'priority', values.priority, LeasePriority.options) }),
      ...(values.class === undefined ? {} : { class: values.class }),
      ...(checkout && { checkout }),
      signal,
    });
    try {
      await waitReady(box, timeoutMs, signal);
      const { exitCode } = await box.exec(command, {
        ...(passesStdin(values) ? { stdin: process.stdin } : {}),
        ...(values.directory === undefined ? {} : { cwd: values.directory }),
        stdout: process.stdout,
        stderr: process.stderr,
        signal,
      });
      return exitCode;
    } finally {
      await giveBack(box, values.ttl);
    }
  },
};

/** How the command ended is what counts: a lease that cannot be given back is told, and ends by itself. */
async function giveBack(box: LeasedBox, ttl: string): Promise<void> {
  const byItself = `it ends by itself, at its ttl of ${ttl}`;
  try {
    const how = await box.release();
    if (how === 'expires') hint(`spoonbox: the lease could not be given back; ${byItself}`);
  } catch (error) {
    const why = printable(error instanceof Error ? error.message : String(error));
    hint(`spoonbox: the lease could not be given back (${why}); ${byItself}`);
  }
}

/** What it waits for is shown to a person; in a pipe, standard error is the command's own. */
async function waitReady(box: LeasedBox, timeoutMs: number, signal: AbortSignal): Promise<void> {
  const status = process.stderr.isTTY ? statusLine() : null;
  try {
    await box.ready({
      onProgress: (progress) => status?.show(`${box.user}: ${waitingLine(progress)}`),
      timeoutMs,
      signal,
    });
  } finally {
    status?.clear();
  }
}
