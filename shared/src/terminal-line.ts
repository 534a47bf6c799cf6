import type { Clock } from './clock.ts';
import type { Link } from './terminal-link.ts';
import type { ErrorMessage } from './terminal-retry.ts';

/**
 * How far the bytes of one socket are: what came, what of it was parsed, what of that was acknowledged.
 *
 * INVARIANTS
 * - acked ≤ parsed ≤ received
 * - from `replayEnd` on, a byte that was received is a byte of the session
 */
export class Line {
  readonly link: Link;
  readonly byTicket: boolean;
  /** the gateway's hello has come */
  greeted = false;
  /** why the gateway is about to close */
  said: ErrorMessage | null = null;
  readonly #clock: Clock;
  readonly #ackTailAfterMs: number;
  #ackEveryBytes = Number.POSITIVE_INFINITY;
  #received = 0;
  #parsed = 0;
  #acked = 0;
  #replayEnd = 0;
  /** the session's offset at `#replayEnd` */
  #offset = 0;
  #cancelTail: (() => void) | null = null;

  constructor(link: Link, of: { byTicket: boolean; clock: Clock; ackTailAfterMs: number }) {
    this.link = link;
    this.byTicket = of.byTicket;
    this.#clock = of.clock;
    this.#ackTailAfterMs = of.ackTailAfterMs;
  }

  /** After a `hello` or `screen`. */
  startAt(offset: number, replayBytes: number): void {
    this.#offset = offset;
    this.#replayEnd = this.#received + replayBytes;
  }

  ackEvery(bytes: number): void {
    this.#ackEveryBytes = bytes;
  }

  /** Bytes came; what is answered is to be called when they were parsed. */
  took(bytes: number): () => void {
    this.#received += bytes;
    let told = false;
    return () => {
      if (told) return;
      told = true;
      this.#parsed += bytes;
      if (this.#parsed - this.#acked >= this.#ackEveryBytes) this.#ack();
      else if (this.#parsed === this.#received) this.#ackSoon();
    };
  }

  get replaying(): boolean {
    return this.#parsed < this.#replayEnd;
  }

  /** The session's offset after all that came; null in the middle of a replay, where there is half a screen. */
  get offset(): number | null {
    return this.#received < this.#replayEnd ? null : this.#offset + (this.#received - this.#replayEnd);
  }

  /** No ack follows. */
  stop(): void {
    this.#cancelTail?.();
    this.#ackEveryBytes = Number.POSITIVE_INFINITY;
    this.#cancelTail = () => {};
  }

  /** An ack for each echo of a key would double the messages: those of a short while go together. */
  #ackSoon(): void {
    this.#cancelTail ??= this.#clock.after(this.#ackTailAfterMs, () => {
      this.#cancelTail = null;
      if (this.#parsed > this.#acked) this.#ack();
    });
  }

  #ack(): void {
    this.link.send({ type: 'ack', bytes: this.#parsed - this.#acked });
    this.#acked = this.#parsed;
  }
}
