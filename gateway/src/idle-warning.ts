import type { Clock } from '#shared/clock.ts';
import { humanDuration } from '#shared/human-time.ts';
import type { ServerMessage } from '#shared/terminal-protocol.ts';

type Warning = Extract<ServerMessage, { type: 'warning' }>;
type Notice = Extract<ServerMessage, { type: 'notice' }>;

export const idleWarningLimits = {
  /** before the end; a quarter of the attached idle time where that is less */
  warnBeforeMs: 300_000,
  /** once more */
  warnAgainBeforeMs: 60_000,
} as const;

/**
 * Tells the people at a terminal that their box is about to be reaped, in time to press a key: once, once more at the last
 * minute, and that it is kept when it is. Every renewal of the terminal's lease says what Redis thinks; between two of them, and
 * while Redis does not answer, this process's own clock goes on from the last one.
 *
 * INVARIANT: there is at most one timer, and none after `stop`.
 */
export class IdleWarning {
  readonly #clock: Clock;
  readonly #tell: (message: Warning | Notice) => void;
  /** from far to near */
  readonly #thresholds: readonly number[];
  /** monotonic; null = nothing is known */
  #endsAt: number | null = null;
  /** how many of the thresholds were told of */
  #told = 0;
  #cancelTimer: () => void = () => {};

  constructor(options: { clock: Clock; attachedIdleMs: number; tell: (message: Warning | Notice) => void }) {
    const { warnBeforeMs, warnAgainBeforeMs } = idleWarningLimits;
    this.#clock = options.clock;
    this.#tell = options.tell;
    const first = Math.min(warnBeforeMs, options.attachedIdleMs / 4);
    // Two warnings within a minute would be one too many.
    this.#thresholds = first >= 2 * warnAgainBeforeMs ? [first, warnAgainBeforeMs] : [first];
  }

  /** What a renewal answered, both Redis TIME in ms. */
  renewed({ now, wantedUntil }: { readonly now: number; readonly wantedUntil: number }): void {
    this.#endsAt = this.#clock.monotonicMs() + wantedUntil - now;
    this.#look();
  }

  /** For somebody who comes to a session that was warned already; null = there is nothing to warn of. */
  current(): Warning | null {
    return this.#told > 0 && this.#endsAt !== null ? warningOf(this.#endsAt - this.#clock.monotonicMs()) : null;
  }

  /** Nobody is attached any more, or the session is over. A later `renewed` begins anew. */
  stop(): void {
    this.#cancelTimer();
    this.#endsAt = null;
    this.#told = 0;
  }

  #look(): void {
    this.#cancelTimer();
    if (this.#endsAt === null) return;
    const leftMs = this.#endsAt - this.#clock.monotonicMs();
    const passed = this.#thresholds.filter((threshold) => leftMs <= threshold).length;
    const before = this.#told;
    this.#told = passed;
    const next = this.#thresholds[passed];
    if (next !== undefined) this.#cancelTimer = this.#clock.after(leftMs - next, () => this.#look());
    if (passed > before) this.#tell(warningOf(leftMs));
    if (passed === 0 && before > 0) this.#tell({ type: 'notice', code: 'kept', message: 'the box is kept' });
  }
}

function warningOf(leftMs: number): Warning {
  const inMs = Math.max(0, Math.round(leftMs));
  const when = inMs < 1_000 ? 'now' : `in ${humanDuration(inMs)}`;
  const message = `nothing was typed for a long time: the box is reaped ${when}, and only the home survives; press a key to keep the box`;
  return { type: 'warning', code: 'idle-soon', message, inMs };
}
