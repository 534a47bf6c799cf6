import { CliError, type Command, exitCodeOf, exitCodes } from './command.ts';
import { commands, nearestCommand } from './commands.ts';
import { completed } from './complete.ts';
import { overview } from './help.ts';
import { colour, print, printable } from './output.ts';

/** Asked by the scripts of `completion`, not by people. */
const completeName = '__complete';

/** The exit code; every failure is one line. */
async function run(args: readonly string[], signal: AbortSignal): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === 'help' || name === '--help' || name === '-h') {
    print(
      name === 'help' && rest[0] !== undefined && !rest[0].startsWith('-') ? commandNamed(rest[0]).help : overview(),
    );
    return name === undefined ? exitCodes.usage : exitCodes.ok;
  }
  if (name === completeName) {
    for (const word of await completed(commands, rest.slice(rest.indexOf('--') + 1), signal)) print(word);
    return exitCodes.ok;
  }
  const command = commandNamed(name);
  const ownPart = command.ownPart?.(rest) ?? (rest.includes('--') ? rest.slice(0, rest.indexOf('--')) : rest);
  if (ownPart.includes('--help') || ownPart.includes('-h')) {
    print(command.help);
    return exitCodes.ok;
  }
  return await command.run(rest, signal);
}

function commandNamed(name: string): Command {
  const command = commands.find((known) => known.name === name);
  if (command !== undefined) return command;
  const nearest = nearestCommand(name);
  const meant = nearest === null ? '' : `, did you mean ${nearest}?`;
  throw new CliError(`there is no command ${name}${meant}; see \`spoonbox --help\``, exitCodes.usage);
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => stream.write('', () => resolve()));
}

const interrupted = new AbortController();
process.once('SIGINT', () => {
  interrupted.abort(new CliError('interrupted', exitCodes.interrupted));
});
process.once('SIGTERM', () => interrupted.abort(new CliError('ended by a signal', 143)));
// The wrapper for an older Node has gone, which would have handed a signal on.
process.once('disconnect', () => interrupted.abort(new CliError('the process that started this has gone', 129)));
process.once('SIGHUP', () => interrupted.abort(new CliError('the terminal has gone', 129)));
// `spoonbox get boxes | head`: the reader has enough. What is held is given back all the same.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    const exitCode = error.code === 'EPIPE' ? exitCodes.ok : exitCodes.failed;
    interrupted.abort(new CliError(`the output cannot be written: ${error.message}`, exitCode));
  });
}

try {
  process.exitCode = await run(process.argv.slice(2), interrupted.signal);
} catch (error) {
  const exitCode = exitCodeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  const text =
    exitCode !== null ? printable(message) : `a defect of the CLI: ${error instanceof Error ? error.stack : message}`;
  if (exitCode !== exitCodes.ok) process.stderr.write(`${colour('red', 'spoonbox:', process.stderr)} ${text}\n`);
  process.exitCode = exitCode ?? exitCodes.failed;
}
// Standard input may still be open; what was printed may still be on its way.
if (!interrupted.signal.aborted) await Promise.all([flushed(process.stdout), flushed(process.stderr)]);
process.exit();
