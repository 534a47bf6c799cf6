import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { Role } from '#shared/operator-schemas.ts';
import { CliError, type Command, commonOptions, exitCodes, oneOf, parsed, positionalsOf } from '../command.ts';
import { openClient } from '../open-client.ts';
import { hint, print } from '../output.ts';

export const consoleLink: Command = {
  name: 'console',
  summary: 'a link that logs a browser in to the console',
  help: `Prints a link that logs one browser in to the console. It works once, within 5 minutes; the browser stays logged in for
12 hours, or until the token is revoked with which the link was made.

Usage: spoonbox console [--role ROLE] [--open]

Options
  --role ROLE   viewer, jobs or admin: what the browser may (default, and at most: what the token may)
  --open        open it in the browser of this machine as well (by xdg-open)

Examples
  spoonbox console
  spoonbox console --open
  spoonbox console --role viewer`,
  async run(args, signal) {
    const { values, positionals } = parsed('console', () =>
      parseArgs({
        args: [...args],
        options: { ...commonOptions, role: { type: 'string' }, open: { type: 'boolean', default: false } },
        allowPositionals: true,
      }),
    );
    positionalsOf('console', positionals);
    const role = values.role === undefined ? null : oneOf('console', 'role', values.role, Role.options);
    const { url } = await openClient(values).loginLink(role, signal);
    print(url);
    hint(`it logs one browser in${role === null ? '' : ` with the role ${role}`}, once, within 5 minutes`);
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
