import { parseArgs } from 'node:util';
import { humanDuration, relativeTime } from '#shared/human-time.ts';
import type { LoopHealth, ReconcilerView } from '#shared/operator-schemas.ts';
import { type Command, commonOptions, exitCodes, oneOf, parsed, positionalsOf } from '../command.ts';
import { openClient } from '../open-client.ts';
import { print, printable, table } from '../output.ts';

export const status: Command = {
  name: 'status',
  summary: 'how the reconciler does: mode, leader, queue, passes, amnesty, pacer',
  help: `Shows how the reconciler does.

Usage: spoonbox status [-o json]

Examples
  spoonbox status`,
  async run(args, signal) {
    const { values, positionals } = parsed('status', () =>
      parseArgs({
        args: [...args],
        options: { ...commonOptions, output: { type: 'string', short: 'o', default: 'text' } },
        allowPositionals: true,
      }),
    );
    positionalsOf('status', positionals);
    const format = oneOf('status', 'output', values.output, ['text', 'json']);
    const reconciler = await openClient(values).reconciler(signal);
    if (format === 'json') print(JSON.stringify(reconciler, null, 2));
    else for (const line of table(rowsOf(reconciler))) print(line);
    return exitCodes.ok;
  },
};

const modeWords = {
  run: 'run',
  drain: 'drain: no new boxes',
  pause: 'pause: nothing is changed',
} as const;

function rowsOf({ now, mode, leader, loop }: ReconcilerView): string[][] {
  const set = mode.by === '' ? '' : `, by ${printable(mode.by)} ${relativeTime(mode.since, now)}`;
  const beat = leader.lastBeatAt === null ? '' : `, last beat ${relativeTime(leader.lastBeatAt, now)}`;
  return [
    ['Mode:', `${modeWords[mode.mode]}${set}${mode.reason === '' ? '' : `: ${printable(mode.reason)}`}`],
    ['Leader:', leader.holder === '' ? 'nobody' : `${printable(leader.holder)}${beat}`],
    ...(loop === null ? [['Loop:', 'the leader has told nothing yet']] : loopRows(loop)),
  ];
}

function loopRows(loop: LoopHealth): string[][] {
  const { waiting, processing, scheduled, longestWaitMs, passes, pacer } = loop;
  const ago = loop.lastResyncAgoMs === null ? 'none yet' : `${humanDuration(loop.lastResyncAgoMs)} ago`;
  const took = loop.lastResyncTookMs === null ? '' : `, took ${Math.round(loop.lastResyncTookMs)} ms`;
  const nextReap = pacer.waitMs === 0 ? '' : `; the next waits ${humanDuration(pacer.waitMs)}`;
  return [
    [
      'Queue:',
      `${waiting} wait (the longest ${Math.round(longestWaitMs)} ms), ${processing} in work, ${scheduled} scheduled`,
    ],
    [
      'Passes:',
      `${passes.count} in the last minute, ${passes.failed} failed; p50 ${passes.p50Ms.toFixed(1)} ms, p99 ${passes.p99Ms.toFixed(1)} ms`,
    ],
    ['Resync:', `${ago}${took}`],
    ['Trust:', loop.amnesty === null ? 'Redis is trusted' : `nobody is taken for idle: ${printable(loop.amnesty)}`],
    ['Idle reaps:', `${pacer.lastMinute} of at most ${pacer.mostPerMinute} in the last minute${nextReap}`],
  ];
}
