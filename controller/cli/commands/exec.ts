import { parseArgs } from 'node:util';
import { terminalPath } from '#shared/terminal-protocol.ts';
import { type Command, commonOptions, parsed, usageError, userOf } from '../command.ts';
import { runRemoteJob } from '../job/remote-job.ts';
import { openClient } from '../open-client.ts';

const options = {
  ...commonOptions,
  stdin: { type: 'boolean', short: 'i', default: false },
  'no-stdin': { type: 'boolean', short: 'n', default: false },
  directory: { type: 'string' },
} as const;

export const exec: Command = {
  name: 'exec',
  summary: "run a command in a user's box, without a terminal",
  help: `Runs a command in the box of a user, in its home. The box is started if it is not there; nothing is shown of the wait.
Standard input, output and error are the command's own. The exit code is the command's, or 255 when it was not run or has
none: the box was reaped or has died, the connection was lost. Ctrl-C, TERM and HUP here end the command there.

Usage: spoonbox exec [options] USER [--] COMMAND [ARGUMENT…]

Options
  -i, --stdin       pass standard input (default: unless it is a terminal)
  -n, --no-stdin    do not: the command reads an empty input
  --directory DIR   where the command starts, below the home

Examples
  spoonbox exec alice -- make test
  spoonbox exec alice --directory Code/project -- git status
  tar c . | spoonbox exec alice tar x
  spoonbox exec alice -- sh -c 'echo "$HOME"; exit 3'`,
  async run(args, signal) {
    const { own, command } = splitArgs(args);
    const { values, positionals } = parsed('exec', () =>
      parseArgs({ args: [...own], options, allowPositionals: true }),
    );
    const user = userOf('exec', positionals);
    if (command.length === 0 || command[0] === '') throw usageError('COMMAND is missing', 'exec');
    const client = openClient(values);
    const { token, url } = await client.terminalToken(user, { mode: 'rw' }, signal);
    const { gateway } = client.settings;
    const terminalUrl = gateway === null ? url : gateway.replace(/^http/, 'ws').replace(/\/+$/, '') + terminalPath;
    const stdin = !values['no-stdin'] && (values.stdin || process.stdin.isTTY !== true);
    return await runRemoteJob({ terminalUrl, token }, { command, stdin, directory: values.directory }, process, signal);
  },
};

/** What is ours ends with the user's name, or with `--` where options follow the name; the rest is the command, untouched. */
function splitArgs(args: readonly string[]): { own: readonly string[]; command: readonly string[] } {
  const userAt = args.findIndex((arg, at) => !arg.startsWith('-') && !takesNext(args[at - 1]));
  const after = args.slice(userAt + 1);
  if (userAt < 0) return { own: args, command: [] };
  const end = after.indexOf('--');
  const hasOwn = end >= 0 && (end === 0 || after[0]?.startsWith('-') === true);
  if (hasOwn) return { own: args.slice(0, userAt + 1 + end), command: after.slice(end + 1) };
  if (after[0]?.startsWith('-')) throw usageError(`${after[0]} after USER: end the options with --`, 'exec');
  return { own: args.slice(0, userAt + 1), command: after };
}

/** Whether this is an option whose value is the next argument. */
function takesNext(arg: string | undefined): boolean {
  return Object.entries(options).some(([name, { type }]) => type === 'string' && arg === `--${name}`);
}
