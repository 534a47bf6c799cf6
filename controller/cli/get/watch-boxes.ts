import type { BoxView } from '#shared/api-schemas.ts';
import type { ApiClient, ResumeId } from '../../sdk/api-client.ts';
import { retried } from '../retried.ts';
import { print, table, widthsOf } from '../output.ts';
import { boxes, listedBox } from './boxes.ts';
import { cellsOf, documentOf, type Format } from './shown.ts';

/** The full state, then a line for each change. A watch that breaks goes on where it was; nothing is told twice. */
export async function watchBoxes(
  client: ApiClient,
  user: string | null,
  shown: { format: Format; header: boolean },
  signal: AbortSignal,
): Promise<never> {
  const printer = createPrinter(shown.format, shown.header);
  let last: ResumeId = null;
  return await retried(
    'the watch',
    async (alive) => {
      for await (const event of client.watch(user, last, signal)) {
        alive();
        last = event.id;
        if (event.type === 'box') printer.box(event.box);
        else if (event.type === 'removed') printer.removed(event.user);
        else if (event.type === 'full') printer.full();
        else printer.synced();
      }
    },
    signal,
  );
}

interface Printer {
  box(box: BoxView): void;
  removed(user: string): void;
  /** All boxes follow, until `synced`. */
  full(): void;
  synced(): void;
}

function createPrinter(format: Format, header: boolean): Printer {
  const head = cellsOf(boxes.header, format);
  const last = new Map<string, string>();
  let first: BoxView[] | null = [];
  /** those of whom the full state told nothing so far; null = no full state is being told */
  let untold: Set<string> | null = null;
  let widths = widthsOf([head]);

  function row(cells: string[]): void {
    // Later rows may be wider than the first ones: widen, never break.
    widths = widthsOf([cells]).map((width, column) => Math.max(width, widths[column] ?? 0));
    for (const line of table([cells], widths)) print(line);
  }

  function tell(box: BoxView): void {
    const listed = listedBox(box);
    if (format === 'json' || format === 'yaml') print(documentOf(format, box));
    else if (format === 'name') print(listed.name);
    else if (first) first.push(box);
    else row(cellsOf(listed.row, format));
  }

  function removed(user: string): void {
    if (!last.delete(user)) return;
    if (format === 'json' || format === 'yaml') print(documentOf(format, { user, removed: true }));
    else if (format !== 'name')
      row([user, 'removed', '-', '-', '-', 'nothing is known of this user any more; the home stays']);
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
      tell(box);
    },
    full() {
      untold = new Set(last.keys());
    },
    synced() {
      for (const user of untold ?? []) removed(user);
      untold = null;
      if (!first) return;
      const found = first.sort((a, b) => (a.user < b.user ? -1 : 1));
      first = null;
      if (format !== 'table' && format !== 'wide') return;
      const rows = found.map((box) => cellsOf(listedBox(box).row, format));
      widths = widthsOf([head, ...rows]);
      if (header) row(head);
      for (const cells of rows) row(cells);
    },
  };
}
