import { parseArgs } from 'node:util';
import { ClearBody, type Leftover, type LeftoverList } from '#shared/leftover.ts';
import { ApiRefusal } from '../../sdk/errors.ts';
import type { ApiClient } from '../../sdk/api-client.ts';
import {
  CliError,
  type Command,
  commonOptions,
  exitCodes,
  oneOf,
  parsed,
  positionalsOf,
  usageError,
} from '../command.ts';
import { mayGoOn, yesOption } from '../confirm.ts';
import { openClient } from '../open-client.ts';
import { hint, print, printable, table } from '../output.ts';

export const cleanup: Command = {
  name: 'cleanup',
  summary: 'lists what an earlier worker left on the host, and clears what is confirmed',
  help: `Lists what the worker of before Spoonbox left: its terminal containers (spoon-agent-term-*), boxes that no installation
made (spoon-box-*: each is replaced on the same home once no command runs in it), directories of jobs ({workdir}/{jobId} with a
checkout in repo), and checkouts in homes whose git directory is gone (those are only listed). Nothing is changed without
--apply; with it, exactly what was listed and confirmed is cleared: what has changed since is left, and said.

What somebody uses (a container that runs, a directory in which something was written within the hour or that a running
container has mounted) is left, too, but for --force. A container is never removed by force, nor with its volumes; homes are
never touched.

Usage: spoonbox cleanup --legacy [options]

Options
  --legacy          what the worker of before left: the only kind there is, said so that nothing is cleared by mistake
  --apply           clear what is listed, after a question
  --force           also what somebody uses
  --digest DIGEST   with --apply: only if the list is still the one that had this digest
  -y, --yes         do not ask; needed where there is no terminal
  -o json           the list, as the API answers it

Exits with 1 where something that was to be cleared could not be.

Examples
  spoonbox cleanup --legacy
  spoonbox cleanup --legacy --apply
  spoonbox cleanup --legacy --apply --yes --digest "$(spoonbox cleanup --legacy -o json | jq -r .digest)"`,
  async run(args, signal) {
    const { values, positionals } = parsed('cleanup', () =>
      parseArgs({
        args: [...args],
        options: {
          ...commonOptions,
          legacy: { type: 'boolean', default: false },
          apply: { type: 'boolean', default: false },
          force: { type: 'boolean', default: false },
          digest: { type: 'string' },
          output: { type: 'string', short: 'o', default: 'text' },
          ...yesOption,
        },
        allowPositionals: true,
      }),
    );
    positionalsOf('cleanup', positionals);
    const { apply, force, yes, digest } = values;
    const format = oneOf('cleanup', 'output', values.output, ['text', 'json']);
    if (!values.legacy) throw usageError('say what to clean up: --legacy', 'cleanup');
    if (apply && format === 'json') throw usageError('-o json is for the list, without --apply', 'cleanup');
    if (apply && !yes && process.stdin.isTTY !== true) {
      throw usageError('nobody can be asked here: confirm with --yes', 'cleanup');
    }
    const client = openClient(values);
    const list = await client.leftovers(signal);
    if (format === 'json') {
      print(JSON.stringify(list, null, 2));
      return exitCodes.ok;
    }
    show(list);
    if (digest !== undefined && digest !== list.digest) {
      throw new CliError(`the list has changed: its digest is ${list.digest} now, not ${digest}; nothing is done`);
    }
    const chosen = list.items.filter(({ action, inUse }) => action !== 'none' && (force || inUse === null));
    if (!apply || chosen.length === 0) {
      if (list.items.length > 0) hint(`nothing is changed; digest ${list.digest}`);
      return exitCodes.ok;
    }
    if (!(await mayGoOn(whatHappens(chosen), yes, signal))) return exitCodes.failed;
    return (await clearAll(client, chosen, force, signal)) ? exitCodes.ok : exitCodes.failed;
  },
};

function show({ items, notLooked }: LeftoverList): void {
  const rows = items.map(({ kind, name, action, inUse, about }) => [
    kind,
    printable(name),
    action === 'none' ? 'only listed' : inUse === null ? action : `${action} by force`,
    printable(inUse === null ? about : `${about}; ${inUse}`),
  ]);
  if (rows.length > 0) for (const line of table([['KIND', 'NAME', 'ACTION', 'WHAT IT IS'], ...rows])) print(line);
  else hint('nothing is left');
  for (const text of notLooked) hint(`not looked at: ${printable(text)}`);
}

function whatHappens(chosen: readonly Leftover[]): string {
  const count = (wanted: Leftover['action']): number => chosen.filter(({ action }) => action === wanted).length;
  const [removed, adopted] = [count('remove'), count('adopt')];
  const parts = [
    ...(removed === 0 ? [] : [`${removed} of these will be removed for good`]),
    ...(adopted === 0 ? [] : [`${adopted} will be replaced on the same home`]),
  ];
  return parts.join(', ');
}

/** One after the other; true where all are. */
async function clearAll(
  client: ApiClient,
  chosen: readonly Leftover[],
  force: boolean,
  signal: AbortSignal,
): Promise<boolean> {
  let failed = 0;
  for (const [index, { kind, name, seen }] of chosen.entries()) {
    const at = `${index + 1} of ${chosen.length}`;
    try {
      const body = ClearBody.parse({ kind, name, seen, force });
      let reply = await client.clearLeftover(body, signal);
      while (!reply.done) {
        hint(`${at}: ${printable(reply.message)}`);
        reply = await client.clearLeftover(body, signal);
      }
      print(`${at}: ${printable(reply.message)}`);
    } catch (error) {
      if (!(error instanceof ApiRefusal)) throw error;
      failed += 1;
      print(`${at}: ${printable(error.problem.detail)}`);
    }
  }
  return failed === 0;
}
