import { parseArgs } from 'node:util';
import { humanBytes } from '#shared/human-bytes.ts';
import type { BoxStats } from '#shared/operator-schemas.ts';
import { type Command, commonOptions, exitCodes, oneOf, parsed, positionalsOf } from '../command.ts';
import { keepLooking } from '../keep-looking.ts';
import { openClient } from '../open-client.ts';
import { relativeTime } from '#shared/human-time.ts';
import { bar, hint, print, table } from '../output.ts';

const againAfterMs = 2_000;
const barWidth = 10;

const orders = {
  cpu: (a: BoxStats, b: BoxStats) => (b.cpus ?? 0) - (a.cpus ?? 0),
  memory: (a: BoxStats, b: BoxStats) => b.memoryBytes - a.memoryBytes,
  home: (a: BoxStats, b: BoxStats) => (b.home?.usedBytes ?? 0) - (a.home?.usedBytes ?? 0),
  user: (a: BoxStats, b: BoxStats) => (a.user < b.user ? -1 : 1),
} as const;

export const top: Command = {
  name: 'top',
  summary: 'processors and memory that boxes use now, and what homes take up',
  help: `Shows what boxes use at this moment, and what their homes take up, of their quota where the
class sets one, as they were measured last: a home is measured anew when somebody asks here, but
at most every ten minutes. Looking is no activity.

Usage: spoonbox top [USER] [options]

Options
  -w, --watch       again every ${againAfterMs / 1_000} seconds, until Ctrl-C
  --sort ORDER      cpu (default), memory, home or user
  -o json           what the API answers

Examples
  spoonbox top
  spoonbox top -w --sort memory
  spoonbox top --sort home`,
  async run(args, signal) {
    const { values, positionals } = parsed('top', () =>
      parseArgs({
        args: [...args],
        options: {
          ...commonOptions,
          watch: { type: 'boolean', short: 'w', default: false },
          sort: { type: 'string', default: 'cpu' },
          output: { type: 'string', short: 'o', default: 'text' },
        },
        allowPositionals: true,
      }),
    );
    const [user = null, ...more] = positionals;
    positionalsOf('top', more);
    const order = orders[oneOf('top', 'sort', values.sort, ['cpu', 'memory', 'home', 'user'])];
    const format = oneOf('top', 'output', values.output, ['text', 'json']);
    const client = openClient(values);
    const clears = values.watch && format === 'text' && process.stdout.isTTY === true;
    let isFirst = true;
    for await (const stats of keepLooking(() => client.stats(user, signal), { everyMs: againAfterMs }, signal)) {
      // Processors are told by two looks.
      const isHalf = isFirst && stats.some(({ cpus }) => cpus === null);
      isFirst = false;
      if (isHalf) continue;
      if (clears) process.stdout.write('\u001b[H\u001b[J');
      if (format === 'json') print(JSON.stringify({ items: stats }, null, values.watch ? 0 : 2));
      else if (stats.length === 0) hint('no box runs');
      else for (const line of table([header, ...stats.toSorted(order).map(rowOf)])) print(line);
      if (!values.watch) break;
    }
    return exitCodes.ok;
  },
};

const header = ['USER', 'CPUS', '', 'MEMORY', '', 'PIDS', 'HOME', '', 'MEASURED'];

function rowOf({ user, cpus, cpusLimit, memoryBytes, memoryLimitBytes, pids, home }: BoxStats): string[] {
  const { usedBytes = null, isWhole = true, quotaBytes = null, measuredAt = null } = home ?? {};
  const now = Date.now();
  return [
    user,
    cpus === null ? '-' : cpus.toFixed(2),
    cpus === null || cpusLimit === 0 ? '-' : bar(cpus / cpusLimit, barWidth),
    humanBytes(memoryBytes),
    memoryLimitBytes === 0 ? '-' : bar(memoryBytes / memoryLimitBytes, barWidth),
    String(pids),
    usedBytes === null ? '-' : `${isWhole ? '' : '> '}${humanBytes(usedBytes)}`,
    usedBytes === null || quotaBytes === null ? '-' : bar(usedBytes / quotaBytes, barWidth),
    // A clock here that is behind Redis' makes nothing happen in the future.
    measuredAt === null ? '-' : relativeTime(Math.min(measuredAt, now), now),
  ];
}
