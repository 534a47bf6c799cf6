import { parseArgs } from 'node:util';
import { z } from 'zod';
import spoonbox from '../../../package.json' with { type: 'json' };
import { type Command, commonOptions, exitCodes, parsed, positionalsOf } from '../command.ts';
import { openClient } from '../open-client.ts';
import { print } from '../output.ts';

const answerWithinMs = 3_000;
const Description = z.object({ info: z.object({ version: z.string() }) });

export const version: Command = {
  name: 'version',
  summary: 'versions of this command, and of the API of the server',
  help: `Shows the version of this command, and which API the server has, where it can be reached. Which version the
controller is of is told by \`spoonbox doctor\`.

Usage: spoonbox version [--client]

Options
  --client   do not ask the server

Examples
  spoonbox version`,
  async run(args, signal) {
    const { values, positionals } = parsed('version', () =>
      parseArgs({
        args: [...args],
        options: { ...commonOptions, client: { type: 'boolean', default: false } },
        allowPositionals: true,
      }),
    );
    positionalsOf('version', positionals);
    print(`client  ${spoonbox.version}`);
    if (!values.client) print(`server  ${await serverVersion(values, signal)}`);
    return exitCodes.ok;
  },
};

async function serverVersion(flags: { server?: string; token?: string }, signal: AbortSignal): Promise<string> {
  const { server, token } = openClient(flags).settings;
  try {
    const response = await fetch(`${server}/openapi.json`, {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.any([signal, AbortSignal.timeout(answerWithinMs)]),
    });
    return `API ${Description.parse(await response.json()).info.version}`;
  } catch {
    signal.throwIfAborted();
    return `unknown: ${server} does not tell it`;
  }
}
