import { parseArgs } from 'node:util';
import { checkoutHelp, checkoutIn, checkoutOptions } from '../checkout-options.ts';
import { type Command, commonOptions, parsed, usageError, userOf } from '../command.ts';
import { openSpoonbox } from '../open-client.ts';
import { ownPartOf, passesStdin, splitCommand } from '../split-command.ts';

const options = {
  ...commonOptions,
  ...checkoutOptions,
  stdin: { type: 'boolean', short: 'i', default: false },
  'no-stdin': { type: 'boolean', short: 'n', default: false },
  directory: { type: 'string' },
  lease: { type: 'string' },
} as const;

export const exec: Command = {
  name: 'exec',
  summary: "run a command in a user's box, without a terminal",
  help: `Runs a command in the box of a user, in its home. The box is started if it is not there; nothing is shown of the wait.
Standard input, output and error are the command's own. The exit code is the command's, or 255 when it has none: the box was
reaped or has died, the connection was lost. When it was not begun: 1 for a refusal, 69 when there is no connection, 75 when
it is not possible yet, 77 for a token that may not. Ctrl-C, TERM and HUP here end the command there.

Usage: spoonbox exec [options] USER [--] COMMAND [ARGUMENT…]

Options
  -i, --stdin       pass standard input (default: unless it is a terminal)
  -n, --no-stdin    do not: the command reads an empty input
  --directory DIR   where the command starts, below the home
${checkoutHelp}
  --lease ID        in the checkout of this lease, where none is named here

Examples
  spoonbox exec alice -- make test
  spoonbox exec alice --directory Code/project -- git status
  spoonbox exec --spoon shop --branch fix/tax --clone https://git.example.org/shop.git alice -- git log -1
  tar c . | spoonbox exec alice tar x
  spoonbox exec alice -- sh -c 'echo "$HOME"; exit 3'`,
  ownPart: (args) => ownPartOf(options, args),
  async run(args, signal) {
    const { own, command } = splitCommand('exec', options, args);
    const { values, positionals } = parsed('exec', () =>
      parseArgs({ args: [...own], options, allowPositionals: true }),
    );
    const user = userOf('exec', positionals);
    if (command.length === 0 || command[0] === '') throw usageError('COMMAND is missing', 'exec');
    const checkout = checkoutIn('exec', values);
    const { exitCode } = await openSpoonbox(values).exec(user, command, {
      ...(passesStdin(values) ? { stdin: process.stdin } : {}),
      ...(values.directory === undefined ? {} : { cwd: values.directory }),
      ...(checkout && { checkout }),
      ...(values.lease === undefined ? {} : { lease: values.lease }),
      stdout: process.stdout,
      stderr: process.stderr,
      signal,
    });
    return exitCode;
  },
};
