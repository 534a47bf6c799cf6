import { parseArgs } from 'node:util';
import { humanBytes } from '#shared/human-bytes.ts';
import { relativeTime } from '#shared/human-time.ts';
import type { CapacityView } from '#shared/operator-schemas.ts';
import { type Command, commonOptions, exitCodes, oneOf, parsed, positionalsOf } from '../command.ts';
import { openClient } from '../open-client.ts';
import { print, printable, table } from '../output.ts';

export const capacity: Command = {
  name: 'capacity',
  summary: 'how many boxes may be there, who has a place, and who waits in line',
  help: `Shows the limits (SPOON_BOX_MAX, SPOON_BOX_MEMORY), who waits in line for a place, the first one first, and who has one.
An idle box gives way to who waits from the time that is shown on. Looking is no activity.

Usage: spoonbox capacity [-o json]

Options
  -o json         what the API answers

Exits with 0, also while somebody waits.

Examples
  spoonbox capacity
  spoonbox capacity -o json | jq '.waiting[].user'`,
  async run(args, signal) {
    const { values, positionals } = parsed('capacity', () =>
      parseArgs({
        args: [...args],
        options: { ...commonOptions, output: { type: 'string', short: 'o', default: 'text' } },
        allowPositionals: true,
      }),
    );
    positionalsOf('capacity', positionals);
    const format = oneOf('capacity', 'output', values.output, ['text', 'json']);
    const view = await openClient(values).capacity(signal);
    if (format === 'json') print(JSON.stringify(view, null, 2));
    else for (const line of linesOf(view)) print(line);
    return exitCodes.ok;
  },
};

function linesOf({ now, limits, taken, waiting, boxes }: CapacityView): string[] {
  const ofBoxes = limits.boxes === null ? `${taken.boxes}, without a limit` : `${taken.boxes} of ${limits.boxes}`;
  const memory = humanBytes(taken.memoryBytes);
  const ofMemory =
    limits.memoryBytes === null ? `${memory}, without a limit` : `${memory} of ${humanBytes(limits.memoryBytes)}`;
  const line = waiting.map(({ position, user, since, priority, memoryBytes, for: leases }) => [
    ...[String(position), user, relativeTime(since, now), priority, humanBytes(memoryBytes)],
    printable(leases.join(', ')),
  ]);
  const places = boxes.map(({ user, state, memoryBytes, idleSince, givesWayAt, heldBy }) => [
    ...[user, state, humanBytes(memoryBytes), idleSince === null ? '-' : relativeTime(idleSince, now)],
    ...[givesWayAt === null ? '-' : relativeTime(givesWayAt, now), printable(heldBy.join(', ')) || '-'],
  ]);
  return [
    ...table([
      ['Boxes:', ofBoxes],
      ['Memory:', ofMemory],
    ]),
    '',
    ...(line.length === 0
      ? ['nobody waits']
      : table([['POSITION', 'USER', 'SINCE', 'PRIORITY', 'MEMORY', 'FOR'], ...line])),
    ...(places.length === 0
      ? []
      : ['', ...table([['USER', 'STATE', 'MEMORY', 'IDLE SINCE', 'GIVES WAY', 'HELD BY'], ...places])]),
  ];
}
