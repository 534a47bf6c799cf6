import { parseArgs } from 'node:util';
import type { BoxEventView } from '#shared/api-schemas.ts';
import type { ApiClient } from '../../sdk/api-client.ts';
import { keepFollowingEvents } from '../../sdk/keep-watching.ts';
import { withBreakHints } from '../break-hints.ts';
import { type Command, commonOptions, exitCodes, oneOf, parsed, positionalsOf, usageError } from '../command.ts';
import { eventRow } from '../get/event-row.ts';
import { cellsOf, documentOf, type Format, formats } from '../get/shown.ts';
import { events as eventKind } from '../get/others.ts';
import { openClient } from '../open-client.ts';
import { hint, print, table, widthsOf } from '../output.ts';

const usualPast = 20;
const mostPast = 200;

export const events: Command = {
  name: 'events',
  summary: 'what happened to boxes, and what happens from now on',
  help: `Shows what happened, the newest last: leases, wishes, each step of a box and the rule that led to it, reaps.

Usage: spoonbox events [USER] [options]

Options
  -f, --follow          go on with what happens; a broken connection goes on where it was
  -n, --limit N         how many of the past, 0 to ${mostPast} (default ${usualPast})
  -o, --output FORMAT   wide (who, and the edge of the machine), json, yaml, name
  --no-headers          without the first line

Examples
  spoonbox events alice
  spoonbox events -f
  spoonbox events alice -f -n 0 -o json`,
  async run(args, signal) {
    const { values, positionals } = parsed('events', () =>
      parseArgs({
        args: [...args],
        options: {
          ...commonOptions,
          follow: { type: 'boolean', short: 'f', default: false },
          limit: { type: 'string', short: 'n', default: String(usualPast) },
          output: { type: 'string', short: 'o', default: 'table' },
          'no-headers': { type: 'boolean', default: false },
        },
        allowPositionals: true,
      }),
    );
    const [user = null, ...more] = positionals;
    positionalsOf('events', more);
    const format = oneOf('events', 'output', values.output, formats);
    const past = Number(values.limit);
    if (!/^\d{1,3}$/.test(values.limit) || past > mostPast) {
      throw usageError(`--limit ${values.limit} is no number from 0 to ${mostPast}`, 'events');
    }
    const client = openClient(values);
    const wanted = { user, past, format, header: !values['no-headers'] };
    if (values.follow) return await followEvents(client, wanted, signal);
    const happened = past === 0 ? [] : await client.events(user, past, signal);
    if (happened.length === 0) hint(eventKind.none);
    createPrinter(wanted).tell(happened.toReversed());
    return exitCodes.ok;
  },
};

interface WantedEvents {
  /** null = of all users */
  readonly user: string | null;
  readonly past: number;
  readonly format: Format;
  readonly header: boolean;
}

/** What happened lately, then what happens. */
export async function followEvents(client: ApiClient, wanted: WantedEvents, signal: AbortSignal): Promise<never> {
  const printer = createPrinter(wanted);
  // At least one, so that the stream begins where the list ends.
  const newestFirst = await client.events(wanted.user, Math.max(1, wanted.past), signal);
  const last = newestFirst[0]?.id ?? null;
  printer.tell(newestFirst.slice(0, wanted.past).toReversed());
  const deps = { ...withBreakHints('the stream of events', () => true), api: client };
  for await (const told of keepFollowingEvents(deps, wanted.user, last, signal)) {
    if (told.type === 'happened') printer.tell([told.event]);
    else hint('some events before the next one are not kept any more, and are not told');
  }
  throw new Error('a stream of events never ends by itself');
}

function createPrinter({ user, format, header }: WantedEvents): { tell(events: readonly BoxEventView[]): void } {
  let widths: number[] = [];
  let isFirst = header;

  return {
    tell(happened) {
      if (format === 'json' || format === 'yaml') for (const event of happened) print(documentOf(format, event));
      else if (format === 'name') for (const event of happened) print(`event/${event.user ?? user}/${event.id}`);
      else {
        const rows = happened.map((event) => cellsOf(eventRow(event, user), format));
        const all = isFirst ? [cellsOf(eventKind.header, format), ...rows] : rows;
        widths = widthsOf(all).map((width, column) => Math.max(width, widths[column] ?? 0));
        isFirst = false;
        for (const line of table(all, widths)) print(line);
      }
    },
  };
}
