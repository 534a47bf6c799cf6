import { parseArgs } from 'node:util';
import { terminalPath } from '#shared/terminal-protocol.ts';
import { type Command, commonOptions, parsed, userOf } from '../command.ts';
import { openClient } from '../open-client.ts';
import { attachTerminal } from '../terminal/attached.ts';

export const attach: Command = {
  name: 'attach',
  summary: "a terminal in a user's box; the box is started if need be",
  help: `Opens a terminal in the box of a user. The box is started if it is not there; meanwhile the terminal tells
what it waits for. The exit code is the shell's own, or 255 when the terminal ended otherwise (reaped,
connection lost). Works with pipes too: at the end of the input the shell gets a Ctrl-D.

Usage: spoonbox attach USER [options]

Options
  --session NAME    name of the session (default: a new one)
  --ro              look only: input is dropped
  --directory DIR   where the shell starts, below the home

Keys, at the start of a line
  ~.   leave    ~?   help    ~~   a single ~

Examples
  spoonbox attach alice
  spoonbox attach alice --directory Code/project
  echo 'make test; exit $?' | spoonbox attach alice`,
  async run(args, signal) {
    const { values, positionals } = parsed('attach', () =>
      parseArgs({
        args: [...args],
        options: {
          ...commonOptions,
          session: { type: 'string' },
          ro: { type: 'boolean', default: false },
          directory: { type: 'string' },
        },
        allowPositionals: true,
      }),
    );
    const user = userOf('attach', positionals);
    const client = openClient(values);
    const wish = { mode: values.ro ? 'ro' : 'rw', session: values.session, directory: values.directory };
    const { token, url } = await client.terminalToken(user, wish, signal);
    const own = client.settings.gateway;
    const where = { token, url: own === null ? url : own.replace(/^http/, 'ws').replace(/\/+$/, '') + terminalPath };
    return await attachTerminal(user, where, process, signal);
  },
};
