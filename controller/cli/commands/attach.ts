import { parseArgs } from 'node:util';
import { terminalsAt } from '../../sdk/gateway-address.ts';
import { checkoutHelp, checkoutIn, checkoutOptions } from '../checkout-options.ts';
import { type Command, commonOptions, parsed, userOf } from '../command.ts';
import { openClient } from '../open-client.ts';
import { attachTerminal, type GetAccess } from '../terminal/attached.ts';

export const attach: Command = {
  name: 'attach',
  summary: "a terminal in a user's box; the box is started if need be",
  help: `Opens a terminal in the box of a user. The box is started if it is not there; meanwhile the terminal tells
what it waits for. A lost connection is made again, and the same shell goes on. The exit code is the shell's own,
or 255 when the terminal ended otherwise (reaped, connection lost for good). Works with pipes too: at the end of
the input the shell gets a Ctrl-D.

Usage: spoonbox attach USER [options]

Options
  --session ID      the session to open (default: a new one); one that is there is joined
  --read-only       look only: input is dropped (also --ro)
  --name NAME       who looks, as the others at the session see it (default: the user)
  --directory DIR   where the shell starts, below the home
${checkoutHelp}

Keys, at the start of a line
  ~.   leave    ~?   help    ~~   a single ~

Examples
  spoonbox attach alice
  spoonbox attach alice --directory Code/project
  spoonbox attach alice --spoon shop --branch fix/tax
  spoonbox attach alice --session s3kZ --read-only --name Bob
  echo 'make test; exit $?' | spoonbox attach alice`,
  async run(args, signal) {
    const { values, positionals } = parsed('attach', () =>
      parseArgs({
        args: [...args],
        options: {
          ...commonOptions,
          ...checkoutOptions,
          session: { type: 'string' },
          ro: { type: 'boolean', default: false },
          'read-only': { type: 'boolean', default: false },
          name: { type: 'string' },
          directory: { type: 'string' },
        },
        allowPositionals: true,
      }),
    );
    const user = userOf('attach', positionals);
    const checkout = checkoutIn('attach', values);
    const client = openClient(values);
    const own = client.settings.gateway;
    const mode = values.ro || values['read-only'] ? 'ro' : 'rw';
    const { session: asked, directory, name } = values;
    const getAccess: GetAccess = async (before, stop) => {
      const wish = { mode, session: before ?? asked, directory, checkout, name };
      const { token, url, session } = await client.terminalToken(user, wish, stop);
      const there = own === null ? url : terminalsAt(own);
      return { token, session, url: there };
    };
    return await attachTerminal(user, getAccess, process, signal);
  },
};
