import type { BoxView } from '#shared/api-schemas.ts';
import type { ApiClient } from '../../sdk/api-client.ts';
import { keepWatching } from '../../sdk/keep-watching.ts';
import { withBreakHints } from '../break-hints.ts';
import { print, table, widthsOf } from '../output.ts';
import type { Kind, Listed } from './kind.ts';
import { cellsOf, documentOf, type Format } from './shown.ts';

/** A kind that is told by watching boxes. */
export type WatchedKind = Kind & Required<Pick<Kind, 'ofBox'>>;

export function isWatched(kind: Kind): kind is WatchedKind {
  return kind.ofBox !== undefined;
}

/** The full state, then a line for each change. A watch that breaks goes on where it was; nothing is told twice. */
export async function watchKind(
  client: ApiClient,
  kind: WatchedKind,
  of: { readonly user: string | null; readonly format: Format; readonly header: boolean },
  signal: AbortSignal,
): Promise<never> {
  const printer = createPrinter(kind, of.format, of.header);
  let hasHeard = false;
  const deps = { ...withBreakHints('the watch', () => hasHeard), api: client };
  for await (const event of keepWatching(deps, of.user, signal)) {
    hasHeard = true;
    if (event.type === 'box') printer.box(event.box);
    else if (event.type === 'removed') printer.removed(event.user);
    else if (event.type === 'full') printer.full();
    else printer.synced();
  }
  throw new Error('a watch never ends by itself');
}

interface Printer {
  box(box: BoxView): void;
  removed(user: string): void;
  /** All boxes follow, until `synced`. */
  full(): void;
  synced(): void;
}

interface Told {
  readonly item: Listed;
  /** what it was when it was told; times that only went by are no change */
  readonly seen: string;
}

function createPrinter(kind: WatchedKind, format: Format, header: boolean): Printer {
  const head = cellsOf(kind.header, format);
  const isTable = format === 'table' || format === 'wide';
  /** by user, then by name */
  const last = new Map<string, Map<string, Told>>();
  /** of a table, the present state is printed when it is whole */
  let isFirst = isTable;
  /** those of whom the full state told nothing so far; null = no full state is being told */
  let untold: Set<string> | null = null;
  let widths = widthsOf([head]);

  function row(cells: string[]): void {
    // Later rows may be wider than the first ones: widen, never break.
    widths = widthsOf([cells]).map((width, column) => Math.max(width, widths[column] ?? 0));
    for (const line of table([cells], widths)) print(line);
  }

  function tell(item: Listed): void {
    if (format === 'json' || format === 'yaml') print(documentOf(format, item.value));
    else if (format === 'name') print(item.name);
    else if (!isFirst) row(cellsOf(item.row, format));
  }

  function tellGone({ gone }: Listed): void {
    if (gone === undefined || isFirst) return;
    if (format === 'json' || format === 'yaml') print(documentOf(format, gone.value));
    else if (format !== 'name') row(cellsOf(gone.row, format));
  }

  function removed(user: string): void {
    for (const { item } of last.get(user)?.values() ?? []) tellGone(item);
    last.delete(user);
  }

  return {
    removed,
    box(box) {
      untold?.delete(box.user);
      const before = last.get(box.user) ?? new Map<string, Told>();
      const now = new Map<string, Told>();
      for (const item of kind.ofBox(box)) {
        const seen = stateOf(item.value);
        now.set(item.name, { item, seen });
        if (before.get(item.name)?.seen !== seen) tell(item);
        before.delete(item.name);
      }
      for (const { item } of before.values()) tellGone(item);
      last.set(box.user, now);
    },
    full() {
      untold = new Set(last.keys());
    },
    synced() {
      for (const user of untold ?? []) removed(user);
      untold = null;
      if (!isFirst) return;
      isFirst = false;
      const users = [...last.keys()].toSorted((a, b) => (a < b ? -1 : 1));
      const rows = users.flatMap((user) =>
        [...(last.get(user)?.values() ?? [])].map(({ item }) => cellsOf(item.row, format)),
      );
      widths = widthsOf([head, ...rows]);
      if (header) row(head);
      for (const cells of rows) row(cells);
    },
  };
}

/** What is told again after a gap, and what only went by, is no change. */
function stateOf(value: unknown): string {
  return JSON.stringify(value, (key, field: unknown) => (key === 'now' || key === 'why' ? undefined : field));
}
