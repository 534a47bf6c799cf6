import type { BoxEventView } from '#shared/api-schemas.ts';
import { utcTime } from '#shared/human-time.ts';
import { printable } from '../output.ts';
import type { Row } from './kind.ts';

/** What happened, in one line. The time is Redis'; this machine's clock only says whether the date is worth a word. */
export function eventRow(event: BoxEventView, user: string | null): Row {
  const { at, reason, message, by, edge } = event;
  return {
    cells: [utcTime(at, Date.now()), event.user ?? user ?? '-', reason, printable(message)],
    wide: [printable(by), edge === null ? '-' : `${edge.from} → ${edge.to}`],
  };
}
