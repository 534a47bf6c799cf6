import type { BoxView } from '#shared/api-schemas.ts';
import { relativeTime } from '#shared/human-time.ts';
import { printable } from './output.ts';

const idLength = 12;
export const boxHeader = ['USER', 'PHASE', 'STEP', 'LEASES', 'UNTIL', 'MESSAGE'];
export const wideBoxHeader = [
  'USER',
  'PHASE',
  'STEP',
  'LEASES',
  'UNTIL',
  'CLASS',
  'CONTAINER',
  'SESSIONS',
  'MESSAGE',
  'WHY',
];

/** One line of `get boxes`. */
export function boxRow(box: BoxView, wide: boolean): string[] {
  const until = box.until === null ? '-' : relativeTime(box.until, box.now);
  const start = [box.user, box.phase, box.step ?? '-', leaseSummary(box), until];
  const message = printable(box.message) || '-';
  if (!wide) return [...start, message];
  const container = box.containerId?.slice(0, idLength) ?? '-';
  return [...start, box.class ?? '-', container, String(box.sessions.length), message, printable(box.why[0] ?? '-')];
}

/** `2 job, 1 terminal`; `-` for none. */
function leaseSummary(box: BoxView): string {
  const counts = new Map<string, number>();
  for (const { kind } of box.leases) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return [...counts].map(([kind, count]) => `${count} ${kind}`).join(', ') || '-';
}
