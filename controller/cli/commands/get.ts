import { parseArgs } from 'node:util';
import type { BoxView } from '#shared/api-schemas.ts';
import { boxHeader, boxRow, wideBoxHeader } from '../box-rows.ts';
import type { ApiClient, ResumeId } from '../../sdk/api-client.ts';
import {
  type Command,
  commonOptions,
  exitCodeOf,
  exitCodes,
  oneOf,
  parsed,
  positionalsOf,
  usageError,
} from '../command.ts';
import { openClient } from '../open-client.ts';
import { hint, print, table, widthsOf } from '../output.ts';
import { pause } from '../wait-gone.ts';

const formats = ['table', 'wide', 'json'] as const;
type Format = (typeof formats)[number];

/** A watch that broke is opened again this often in a row, this far apart. */
const maxReconnects = 20;
const reconnectAfterMs = 1_000;

export const get: Command = {
  name: 'get',
  summary: 'list boxes, or show one',
  help: `Lists boxes, or shows one. Looking at a box never counts as activity.

Usage: spoonbox get boxes [USER] [-w] [-o wide|json]
       spoonbox get box USER [-w] [-o wide|json]

Options
  -w, --watch    go on with every change, one line each
  -o, --output   wide: more columns; json: what the API answers (with -w one line per change)

Examples
  spoonbox get boxes
  spoonbox get boxes -o wide
  spoonbox get boxes -w
  spoonbox get box alice -o json`,
  async run(args, signal) {
    const { values, positionals } = parsed('get', () =>
      parseArgs({
        args: [...args],
        options: {
          ...commonOptions,
          watch: { type: 'boolean', short: 'w', default: false },
          output: { type: 'string', short: 'o', default: 'table' },
        },
        allowPositionals: true,
      }),
    );
    const [what, user = null, ...more] = positionals;
    if (what !== 'box' && what !== 'boxes') {
      throw usageError(
        what === undefined ? 'say what to get: boxes' : `${what} is nothing to get: boxes, box USER`,
        'get',
      );
    }
    if (what === 'box' && user === null) positionalsOf('get', [], 'USER');
    positionalsOf('get', more);
    const format = oneOf('get', 'output', values.output, formats);
    const client = openClient(values);
    if (values.watch) return await watchBoxes(client, user, format, signal);
    const boxes = user === null ? await client.boxes(null, signal) : [await client.box(user, signal)];
    if (format === 'json') print(JSON.stringify(user === null ? { items: boxes } : boxes[0], null, 2));
    else printTable(boxes, format === 'wide');
    return exitCodes.ok;
  },
};

function printTable(boxes: readonly BoxView[], wide: boolean): void {
  if (boxes.length === 0) {
    hint('no boxes: `spoonbox attach USER` makes one');
    return;
  }
  for (const line of table([wide ? wideBoxHeader : boxHeader, ...boxes.map((box) => boxRow(box, wide))])) print(line);
}

/** The full state as a table, then a line for each change. A watch that breaks is opened again; nothing is told twice. */
async function watchBoxes(
  client: ApiClient,
  user: string | null,
  format: Format,
  signal: AbortSignal,
): Promise<number> {
  const show = createPrinter(format);
  let failures = 0;
  let last: ResumeId = null;
  for (;;) {
    try {
      for await (const event of client.watch(user, last, signal)) {
        failures = 0;
        last = event.id;
        if (event.type === 'box') show.box(event.box);
        else if (event.type === 'removed') show.removed(event.user);
        else if (event.type === 'full') show.full();
        else show.synced();
      }
    } catch (error) {
      const mayPass = exitCodeOf(error) === exitCodes.unreachable || exitCodeOf(error) === exitCodes.notYet;
      failures += 1;
      if (!mayPass || (failures === 1 && !show.began()) || failures > maxReconnects) throw error;
    }
    signal.throwIfAborted();
    if (failures <= 1) hint('the watch ended; watching again');
    await pause(reconnectAfterMs, signal);
  }
}

interface Printer {
  box(box: BoxView): void;
  removed(user: string): void;
  /** All boxes follow, until `synced`. */
  full(): void;
  synced(): void;
  /** the first full state was printed */
  began(): boolean;
}

function createPrinter(format: Format): Printer {
  const wide = format === 'wide';
  const header = wide ? wideBoxHeader : boxHeader;
  const last = new Map<string, string>();
  let first: BoxView[] | null = [];
  /** those of whom the full state told nothing so far; null = no full state is being told */
  let untold: Set<string> | null = null;
  let widths = widthsOf([header]);

  function row(cells: string[]): void {
    // Later rows may be wider than the first ones: widen, never break.
    widths = widthsOf([cells]).map((width, column) => Math.max(width, widths[column] ?? 0));
    for (const line of table([cells], widths)) print(line);
  }

  function removed(user: string): void {
    if (!last.delete(user)) return;
    if (format === 'json') print(JSON.stringify({ user, removed: true }));
    else row([user, 'removed', '-', '-', '-', 'nothing is known of this user any more; the home stays']);
  }

  return {
    removed,
    box(box) {
      untold?.delete(box.user);
      // What is told again after a gap, and times that only went by, are no change.
      const { now: _now, why: _why, ...state } = box;
      const seen = JSON.stringify(state);
      if (last.get(box.user) === seen) return;
      last.set(box.user, seen);
      if (format === 'json') print(JSON.stringify(box));
      else if (first) first.push(box);
      else row(boxRow(box, wide));
    },
    full() {
      untold = new Set(last.keys());
    },
    synced() {
      for (const user of untold ?? []) removed(user);
      untold = null;
      if (!first) return;
      const boxes = first.sort((a, b) => (a.user < b.user ? -1 : 1));
      first = null;
      if (format === 'json') return;
      row(header);
      const rows = boxes.map((box) => boxRow(box, wide));
      widths = widthsOf([header, ...rows]);
      for (const cells of rows) row(cells);
    },
    began: () => first === null,
  };
}
