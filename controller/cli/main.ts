import { adopt } from './commands/adopt.ts';
import { apiToken } from './commands/api-token.ts';
import { attach } from './commands/attach.ts';
import { consoleLink } from './commands/console.ts';
import { deleteBox } from './commands/delete.ts';
import { describe } from './commands/describe.ts';
import { exec } from './commands/exec.ts';
import { get } from './commands/get.ts';
import { lease } from './commands/lease.ts';
import { reap } from './commands/reap.ts';
import { recreate } from './commands/recreate.ts';
import { release } from './commands/release.ts';
import { replay } from './commands/replay.ts';
import { token } from './commands/token.ts';
import { CliError, type Command, exitCodeOf, exitCodes, exitCodesHelp } from './command.ts';
import { colour, print, table } from './output.ts';

const commands: readonly Command[] = [
  attach,
  exec,
  get,
  describe,
  lease,
  release,
  reap,
  recreate,
  deleteBox,
  adopt,
  token,
  replay,
  apiToken,
  consoleLink,
];

const help = `spoonbox: a box of their own for every user

Usage: spoonbox COMMAND [options]

Commands
${table(commands.map(({ name, summary }) => [`  ${name}`, summary])).join('\n')}

Options of every command
  --server URL   where the API is      (else SPOONBOX_SERVER, else .spoonbox/client.json)
  --token TOKEN  its bearer token      (else SPOONBOX_TOKEN, else the same file)
  -h, --help     what the command does, with examples

${exitCodesHelp}

Examples
  spoonbox attach alice
  spoonbox exec alice -- make test
  spoonbox get boxes -w
  spoonbox describe box alice`;

/** The exit code; every failure is one line. */
async function run(args: readonly string[], signal: AbortSignal): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    const about = commands.find((command) => command.name === rest[0]);
    print(about ? about.help : help);
    return name === undefined ? exitCodes.usage : exitCodes.ok;
  }
  const command = commands.find((known) => known.name === name);
  if (!command) throw new CliError(`there is no command ${name}; see \`spoonbox --help\``, exitCodes.usage);
  const ownPart = rest.includes('--') ? rest.slice(0, rest.indexOf('--')) : rest;
  if (ownPart.includes('--help') || ownPart.includes('-h')) {
    print(command.help);
    return exitCodes.ok;
  }
  return await command.run(rest, signal);
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => stream.write('', () => resolve()));
}

const interrupted = new AbortController();
process.once('SIGINT', () => {
  interrupted.abort(new CliError('interrupted', exitCodes.interrupted));
});
process.once('SIGTERM', () => interrupted.abort(new CliError('ended by a signal', 143)));
process.once('SIGHUP', () => interrupted.abort(new CliError('the terminal has gone', 129)));
// `spoonbox get boxes | head`: the reader has enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? exitCodes.ok : exitCodes.failed);
});

try {
  process.exitCode = await run(process.argv.slice(2), interrupted.signal);
} catch (error) {
  const exitCode = exitCodeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  const text = exitCode !== null ? message : `a defect of the CLI: ${error instanceof Error ? error.stack : message}`;
  process.stderr.write(`${colour('red', 'spoonbox:', process.stderr)} ${text}\n`);
  process.exitCode = exitCode ?? exitCodes.failed;
}
// Standard input may still be open; what was printed may still be on its way.
if (!interrupted.signal.aborted) await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
process.exit();
