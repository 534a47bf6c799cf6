import type { Clock } from '#shared/clock.ts';

/**
 * Fewer, larger frames at no cost for a single key's echo: the first bytes after a silence go out at once, what follows
 * within `joinMs` goes out together, or as soon as it is `joinBytes`. Bytes keep their order, and none is held longer.
 */
export class OutputJoiner {
  readonly #clock: Clock;
  readonly #limits: { readonly joinMs: number; readonly joinBytes: number };
  readonly #send: (bytes: Buffer) => void;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #cancelTimer: (() => void) | null = null;

  constructor(clock: Clock, limits: { joinMs: number; joinBytes: number }, send: (bytes: Buffer) => void) {
    this.#clock = clock;
    this.#limits = limits;
    this.#send = send;
  }

  push(bytes: Buffer): void {
    if (this.#cancelTimer === null) {
      this.#send(bytes);
      this.#arm();
      return;
    }
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
    if (this.#heldBytes >= this.#limits.joinBytes) this.#sendHeld();
  }

  /** Sends what is held and leaves no timer. */
  flush(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    this.#sendHeld();
  }

  #arm(): void {
    this.#cancelTimer = this.#clock.after(this.#limits.joinMs, () => {
      this.#cancelTimer = null;
      if (this.#heldBytes === 0) return;
      this.#sendHeld();
      this.#arm();
    });
  }

  #sendHeld(): void {
    if (this.#heldBytes === 0) return;
    const [first, ...rest] = this.#held;
    const joined = first && rest.length === 0 ? first : Buffer.concat(this.#held, this.#heldBytes);
    this.#held = [];
    this.#heldBytes = 0;
    this.#send(joined);
  }
}
