import type { BoxView } from '#shared/api-schemas.ts';
import { relativeTime } from '#shared/human-time.ts';
import type { ApiClient } from '../../sdk/api-client.ts';
import { printable } from '../output.ts';
import type { Kind, Listed, Row, Wanted } from './kind.ts';

const idLength = 12;

export const boxes: Kind = {
  names: ['boxes', 'box', 'bx'],
  header: {
    cells: ['USER', 'PHASE', 'STEP', 'LEASES', 'UNTIL', 'MESSAGE'],
    wide: ['CLASS', 'CONTAINER', 'SESSIONS', 'WHY'],
  },
  ofUsers: true,
  none: 'no boxes: `spoonbox attach USER` makes one',
  ofBox: (box) => [listedBox(box)],
  async list(client, wanted, signal) {
    return (await boxesOf(client, wanted, signal)).map(listedBox);
  },
};

/** The boxes that are asked for. */
export async function boxesOf(
  client: ApiClient,
  { user, selector }: Wanted,
  signal: AbortSignal,
): Promise<readonly BoxView[]> {
  return user === null ? await client.boxes(selector, signal) : [await client.box(user, signal)];
}

function listedBox(box: BoxView): Listed {
  const { user } = box;
  const words = 'nothing is known of this user any more; the home stays';
  return {
    name: `box/${user}`,
    row: boxRow(box),
    value: box,
    gone: {
      row: { cells: [user, 'removed', '-', '-', '-', words], wide: ['-', '-', '-', '-'] },
      value: { user, removed: true },
    },
  };
}

function boxRow(box: BoxView): Row {
  const until = box.until === null ? '-' : relativeTime(box.until, box.now);
  const container = box.containerId?.slice(0, idLength) ?? '-';
  return {
    cells: [box.user, box.phase, box.step ?? '-', leaseSummary(box), until, printable(box.message) || '-'],
    wide: [box.class ?? '-', container, String(box.sessions.length), printable(box.why[0] ?? '-')],
  };
}

/** `2 job, 1 terminal`; `-` for none. */
function leaseSummary(box: BoxView): string {
  const counts = new Map<string, number>();
  for (const { kind } of box.leases) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return [...counts].map(([kind, count]) => `${count} ${kind}`).join(', ') || '-';
}
