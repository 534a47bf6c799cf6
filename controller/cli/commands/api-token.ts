import { parseArgs } from 'node:util';
import { relativeTime } from '#shared/human-time.ts';
import { type ApiToken, Role } from '#shared/operator-schemas.ts';
import {
  type Command,
  commonOptions,
  durationMs,
  exitCodes,
  oneOf,
  parsed,
  positionalsOf,
  usageError,
} from '../command.ts';
import { openClient } from '../open-client.ts';
import { hint, print, printable, table } from '../output.ts';

const name = 'api-token';

export const apiToken: Command = {
  name,
  summary: 'tokens of the API: make, list, revoke',
  help: `Makes, lists and revokes tokens of the API. Each has a role: viewer reads; jobs also holds boxes and runs commands;
admin may do everything. Only a hash of a token is kept: it is shown once, when it is made. Where Redis lost its data, all are
revoked. A revoked token stops within 5 seconds, and what it still watches 5 seconds later.

Usage: spoonbox api-token create --name NAME --role ROLE [--ttl TIME] [-o token|json]
       spoonbox api-token list [-o table|json]
       spoonbox api-token revoke ID

Options
  --name NAME   who uses it, for people
  --role ROLE   viewer, jobs or admin
  --ttl TIME    how long it lasts (default: until it is revoked)
  -o FORMAT     of create: token (default) or json; of list: table (default) or json

Examples
  spoonbox api-token create --name grafana --role viewer
  TOKEN=$(spoonbox api-token create --name ci --role jobs --ttl 90d)
  spoonbox api-token list
  spoonbox api-token revoke 4k2j9x0a7b1c`,
  async run(args, signal) {
    const { values, positionals } = parsed(name, () =>
      parseArgs({
        args: [...args],
        options: {
          ...commonOptions,
          name: { type: 'string' },
          role: { type: 'string' },
          ttl: { type: 'string' },
          output: { type: 'string', short: 'o' },
        },
        allowPositionals: true,
      }),
    );
    const [verb = '', ...rest] = positionals;
    switch (verb) {
      case 'create': {
        positionalsOf(name, rest);
        if (values.name === undefined || values.role === undefined) throw usageError('say --name and --role', name);
        const role = oneOf(name, 'role', values.role, Role.options);
        const format = oneOf(name, 'output', values.output ?? 'token', ['token', 'json']);
        const ttlMs = values.ttl === undefined ? undefined : durationMs(name, 'ttl', values.ttl);
        const made = await openClient(values).makeToken({ name: values.name, role, ttlMs }, signal);
        print(format === 'json' ? JSON.stringify(made, null, 2) : made.token);
        hint(`token ${made.id} of role ${role} is not shown again: \`spoonbox api-token revoke ${made.id}\` ends it`);
        return exitCodes.ok;
      }
      case 'list': {
        positionalsOf(name, rest);
        const format = oneOf(name, 'output', values.output ?? 'table', ['table', 'json']);
        const items = await openClient(values).tokens(signal);
        if (format === 'json') print(JSON.stringify({ items }, null, 2));
        else printTable(items);
        return exitCodes.ok;
      }
      case 'revoke': {
        const [id = ''] = positionalsOf(name, rest, 'ID');
        await openClient(values).revokeToken(id, signal);
        print(`token ${id} is revoked`);
        return exitCodes.ok;
      }
      default:
        throw usageError(
          verb === '' ? 'say what to do: create, list, revoke' : `${verb} is none of create, list, revoke`,
          name,
        );
    }
  },
};

const header = ['ID', 'NAME', 'ROLE', 'CREATED', 'EXPIRES', 'LAST USED'];

function printTable(items: readonly ApiToken[]): void {
  if (items.length === 0) {
    hint('no tokens but the internal one: `spoonbox api-token create` makes one');
    return;
  }
  const now = Date.now(); // the list tells no time of Redis: to people this machine's is near enough
  const time = (at: number | null): string => (at === null ? 'never' : relativeTime(at, now));
  const rows = items.map(({ id, name: of, role, createdAt, expiresAt, lastUsedAt }) => [
    id,
    printable(of),
    role,
    time(createdAt),
    time(expiresAt),
    time(lastUsedAt),
  ]);
  for (const line of table([header, ...rows])) print(line);
}
