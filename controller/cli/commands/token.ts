import { parseArgs } from 'node:util';
import type { TerminalTokenReply } from '#shared/api-schemas.ts';
import { checkoutHelp, checkoutIn, checkoutOptions } from '../checkout-options.ts';
import { type Command, commonOptions, durationMs, exitCodes, oneOf, parsed, userOf } from '../command.ts';
import { openClient } from '../open-client.ts';
import { print } from '../output.ts';

export const token: Command = {
  name: 'token',
  summary: 'a terminal token: opens one terminal, once, within a minute',
  help: `Makes a terminal token. It opens one terminal of that user, once, before it expires.

Usage: spoonbox token USER [options]

Options
  --ro              look only: input is dropped
  --session NAME    the session to open (default: a new one)
  --directory DIR   where the shell starts, below the home
${checkoutHelp}
  --ttl TIME        1s to 60s (default 60s)
  -o FORMAT         token (default), url (address with the token in it), json

Examples
  spoonbox token alice -o url
  spoonbox token alice --ro --ttl 10s -o json`,
  async run(args, signal) {
    const { values, positionals } = parsed('token', () =>
      parseArgs({
        args: [...args],
        options: {
          ...commonOptions,
          ...checkoutOptions,
          ro: { type: 'boolean', default: false },
          session: { type: 'string' },
          directory: { type: 'string' },
          ttl: { type: 'string' },
          output: { type: 'string', short: 'o', default: 'token' },
        },
        allowPositionals: true,
      }),
    );
    const user = userOf('token', positionals);
    const format = oneOf('token', 'output', values.output, ['token', 'url', 'json']);
    const wish = {
      mode: values.ro ? 'ro' : 'rw',
      session: values.session,
      directory: values.directory,
      checkout: checkoutIn('token', values),
      ttlMs: values.ttl === undefined ? undefined : durationMs('token', 'ttl', values.ttl),
    };
    const reply = await openClient(values).terminalToken(user, wish, signal);
    if (format === 'json') print(JSON.stringify(reply, null, 2));
    else print(format === 'token' ? reply.token : withToken(reply));
    return exitCodes.ok;
  },
};

function withToken({ url, token }: TerminalTokenReply): string {
  const whole = new URL(url);
  whole.searchParams.set('token', token);
  return whole.href;
}
