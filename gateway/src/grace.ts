import type { Clock } from '#shared/clock.ts';
import { humanDuration } from '#shared/human-time.ts';

/** How long a session is kept while nobody is attached. */
export class Grace {
  /** when the last one left, on the monotonic clock; null = somebody is attached */
  emptySinceMs: number | null = null;
  readonly #clock: Clock;
  readonly #onOver: (message: string) => void;
  /** the same of before somebody came back; null = nobody did */
  #emptyBeforeMs: number | null = null;
  #forMs = 0;
  #cancel: () => void = () => {};

  constructor(clock: Clock, onOver: (message: string) => void) {
    this.#clock = clock;
    this.#onOver = onOver;
  }

  /** The last one has left, and is waited for so long. */
  begin(forMs: number): void {
    this.#forMs = forMs;
    this.#runFrom(this.#clock.monotonicMs());
  }

  /** Somebody is attached. */
  stop(): void {
    this.#cancel();
    if (this.emptySinceMs !== null) this.#emptyBeforeMs = this.emptySinceMs;
    this.emptySinceMs = null;
  }

  /** Who came back had to go: it goes on as if nobody had come. False: nobody came back, all were there from the beginning. */
  goOn(): boolean {
    if (this.#emptyBeforeMs === null) return false;
    this.#runFrom(this.#emptyBeforeMs);
    return true;
  }

  /** Nobody is attached, nor waited for any more. */
  close(): void {
    this.#cancel();
    this.emptySinceMs ??= this.#clock.monotonicMs();
  }

  #runFrom(sinceMs: number): void {
    this.#cancel();
    this.emptySinceMs = sinceMs;
    const leftMs = Math.max(0, sinceMs + this.#forMs - this.#clock.monotonicMs());
    this.#cancel = this.#clock.after(leftMs, () => {
      this.#onOver(`nobody came back within ${humanDuration(this.#forMs)}`);
    });
  }
}
