import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { CliError, type Command, commonOptions, exitCodes, parsed, positionalsOf } from '../command.ts';
import { openClient } from '../open-client.ts';
import { hint, print } from '../output.ts';

export const consoleLink: Command = {
  name: 'console',
  summary: 'a link that logs a browser in to the console',
  help: `Prints a link that logs one browser in to the console. It works once, within 5 minutes; the browser stays logged in for
12 hours, or until the token is revoked with which the link was made.

Usage: spoonbox console [--open]

Options
  --open   open it in the browser of this machine as well (by xdg-open)

Examples
  spoonbox console
  spoonbox console --open`,
  async run(args, signal) {
    const { values, positionals } = parsed('console', () =>
      parseArgs({
        args: [...args],
        options: { ...commonOptions, open: { type: 'boolean', default: false } },
        allowPositionals: true,
      }),
    );
    positionalsOf('console', positionals);
    const { url } = await openClient(values).loginLink(signal);
    print(url);
    hint('it logs one browser in, once, within 5 minutes');
    if (values.open) await openInBrowser(url);
    return exitCodes.ok;
  },
};

/** xdg-open goes by itself once it has told a browser, so that nothing is waited for but its start. */
async function openInBrowser(url: string): Promise<void> {
  const child = spawn('xdg-open', [url], { stdio: 'ignore', detached: true });
  try {
    await once(child, 'spawn');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CliError(
      `the link was not opened, because xdg-open cannot be run (${why}): open the printed one yourself`,
    );
  }
  child.unref();
}
