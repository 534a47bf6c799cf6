import type { LinkEnd } from './terminal-link.ts';
import { type CloseName, closeNameOf, closeTable, type ServerMessage } from './terminal-protocol.ts';

export type ErrorMessage = Extract<ServerMessage, { type: 'error' }>;

/** What follows the end of a socket. `why` is for people. */
export type Next =
  | { readonly is: 'over'; readonly name: CloseName | null; readonly why: string }
  /** at once, for there is something else to try: the address that was named, or a token instead of the ticket */
  | { readonly is: 'now'; readonly why: string; readonly address: string | null; readonly ticketRefused: boolean }
  | {
      readonly is: 'later';
      readonly name: CloseName | null;
      readonly why: string;
      readonly slowly: boolean;
      readonly tokenRefused: boolean;
    };

/** Somebody meant these: to come back by itself would start the box again against their will. */
const meant: ReadonlySet<CloseName> = new Set(['ended', 'reaped', 'deleted', 'idle', 'released']);
/** To come back soon makes these worse. */
const crowded: ReadonlySet<CloseName> = new Set(['too-many-sessions', 'too-fast', 'try-later']);

/** `said`: the `error` message that came before the end; `by`: how the connection was tried. */
export function afterEnd(
  end: LinkEnd,
  said: ErrorMessage | null,
  by: { readonly ticket: boolean; readonly elsewhere: boolean },
): Next {
  const name = end.code === null ? null : closeNameOf(end.code);
  const why = said?.message || end.reason || end.error?.message || textOf(end, name);
  if (by.ticket && said?.code === 'ticket-refused') return { is: 'now', why, address: null, ticketRefused: true };
  if (name === 'elsewhere' && said?.address !== undefined && !by.elsewhere) {
    return { is: 'now', why, address: said.address, ticketRefused: false };
  }
  if (name !== null && (!closeTable[name].retry || meant.has(name))) return { is: 'over', name, why };
  return {
    is: 'later',
    name,
    why,
    slowly: name !== null && crowded.has(name),
    tokenRefused: name === 'token-refused',
  };
}

export interface BackoffLimits {
  readonly minMs: number;
  readonly maxMs: number;
}

/** Half of a wait that doubles is fixed, half is chance: clients that were lost together do not come back together. */
export function backoffMs(attempt: number, limits: BackoffLimits, random: () => number): number {
  const doubled = limits.minMs * 2 ** Math.min(attempt, 30);
  return Math.round(Math.min(limits.maxMs, doubled) * (0.5 + random() / 2));
}

function textOf(end: LinkEnd, name: CloseName | null): string {
  return name ? closeTable[name].text : `the connection to the gateway was lost (${end.code ?? 'no answer'})`;
}
