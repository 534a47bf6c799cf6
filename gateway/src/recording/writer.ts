import type { Clock } from '#shared/clock.ts';

/** Something that has a part to write. `writePart` never rejects; true = there is more. */
export interface Dirty {
  writePart(): Promise<boolean>;
}

/**
 * The one writer of all recordings of this process: a disk that hangs takes one thread of Node's pool, not all.
 *
 * INVARIANTS
 * - At most one part is being written; whoever has more goes to the end of the line.
 * - Whoever is in `#waiting` has a timer; whoever is in `#due` has a run, or a timer of 0 ms.
 */
export class RecordingWriter {
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #waiting = new Set<Dirty>();
  readonly #due = new Set<Dirty>();
  #running = false;
  #cancelWaiting: (() => void) | null = null;
  #cancelDue: (() => void) | null = null;

  constructor(clock: Clock, everyMs: number) {
    this.#clock = clock;
    this.#everyMs = everyMs;
  }

  /** Soon enough, together with what comes meanwhile. Does no work itself. */
  later(recording: Dirty): void {
    this.#waiting.add(recording);
    this.#cancelWaiting ??= this.#clock.after(this.#everyMs, () => {
      this.#cancelWaiting = null;
      for (const one of this.#waiting) this.#due.add(one);
      this.#waiting.clear();
      void this.#run();
    });
  }

  /** As soon as this turn of the event loop is over. Does no work itself. */
  soon(recording: Dirty): void {
    this.#due.add(recording);
    this.#waiting.delete(recording);
    if (this.#waiting.size === 0) {
      this.#cancelWaiting?.();
      this.#cancelWaiting = null;
    }
    if (this.#running) return;
    this.#cancelDue ??= this.#clock.after(0, () => {
      this.#cancelDue = null;
      void this.#run();
    });
  }

  async #run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    // A loop over a set also meets what is added meanwhile.
    for (const recording of this.#due) {
      this.#due.delete(recording);
      if (await recording.writePart()) this.#due.add(recording);
    }
    this.#running = false; // in the same turn as the look that found nothing more
  }
}
