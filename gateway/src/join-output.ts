import type { Clock } from '#shared/clock.ts';

/**
 * Fewer, larger frames at no cost for a key's echo: the first bytes after a silence, or after an input, go out at once; what
 * follows within `joinMs` goes out together, or as soon as it is `joinBytes`. Bytes keep their order, and none is held longer.
 */
export class OutputJoiner {
  readonly #clock: Clock;
  readonly #limits: { readonly joinMs: number; readonly joinBytes: number };
  readonly #send: (bytes: Buffer) => void;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #sentAtMs = Number.NEGATIVE_INFINITY;
  /** an input came, and no output since */
  #isAnswer = false;
  #cancelTimer: (() => void) | null = null;

  constructor(clock: Clock, limits: { joinMs: number; joinBytes: number }, send: (bytes: Buffer) => void) {
    this.#clock = clock;
    this.#limits = limits;
    this.#send = send;
  }

  /** The shell was given input: what comes next is what somebody waits for. */
  input(): void {
    this.#isAnswer = true;
  }

  push(bytes: Buffer): void {
    const waitMs = this.#sentAtMs + this.#limits.joinMs - this.#clock.monotonicMs();
    const goesAtOnce = this.#isAnswer || waitMs <= 0;
    this.#isAnswer = false;
    if (goesAtOnce && this.#heldBytes === 0) {
      this.#sendNow(bytes);
      return;
    }
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
    if (goesAtOnce || this.#heldBytes >= this.#limits.joinBytes) this.flush();
    else this.#cancelTimer ??= this.#clock.after(waitMs, () => this.flush());
  }

  /** Sends what is held and leaves no timer. */
  flush(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    if (this.#heldBytes === 0) return;
    const [first] = this.#held;
    const joined = first && this.#held.length === 1 ? first : Buffer.concat(this.#held, this.#heldBytes);
    this.#held = [];
    this.#heldBytes = 0;
    this.#sendNow(joined);
  }

  #sendNow(bytes: Buffer): void {
    this.#send(bytes);
    this.#sentAtMs = this.#clock.monotonicMs();
  }
}
