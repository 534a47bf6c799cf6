interface Entry {
  readonly at: number;
  readonly order: number;
  /** null = cancelled */
  run: (() => void) | null;
}

/** How many pieces run in one turn of the event loop. */
const piecesPerTurn = 64;

/**
 * Virtual time. What is due runs one piece at a time, in order of its time and then of its making; between two pieces every
 * promise settles. Nothing here waits for real time, so a seed always tells the same story.
 */
export class Scheduler {
  private readonly pending: Entry[] = [];
  private made = 0;
  private nowMs = 0;

  now(): number {
    return this.nowMs;
  }

  /** Runs once, `delayMs` from now; the returned function cancels. */
  after(delayMs: number, run: () => void): () => void {
    const entry: Entry = { at: this.nowMs + Math.max(0, delayMs), order: this.made, run };
    this.made += 1;
    this.push(entry);
    return () => {
      entry.run = null;
    };
  }

  /** Runs what is due until `untilMs`; `afterEach` is called when everything that a piece set off has settled. */
  async run(untilMs: number, afterEach: () => void): Promise<void> {
    while (this.isDue(untilMs)) await this.runSome(untilMs, afterEach);
    this.nowMs = Math.max(this.nowMs, untilMs);
  }

  /**
   * Each piece is an immediate of its own: between two of them microtasks and ticks run to their end. Many are made at once,
   * because a turn of the event loop costs more than a piece does.
   */
  private runSome(untilMs: number, afterEach: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      let hasFailed = false;
      let hasRun = false;
      const guarded = (work: () => void) => (): void => {
        if (hasFailed) return;
        try {
          if (hasRun) afterEach();
          hasRun = false;
          work();
        } catch (error) {
          hasFailed = true;
          reject(error);
        }
      };
      const piece = guarded(() => {
        if (!this.isDue(untilMs)) return;
        const next = this.pop();
        this.nowMs = next.at;
        hasRun = true;
        next.run?.();
      });
      for (let made = 0; made < piecesPerTurn; made += 1) setImmediate(piece);
      setImmediate(guarded(resolve));
    });
  }

  /** Drops what was cancelled. */
  private isDue(untilMs: number): boolean {
    for (let next = this.pending[0]; next !== undefined; next = this.pending[0]) {
      if (next.run !== null) return next.at <= untilMs;
      this.pop();
    }
    return false;
  }

  private push(entry: Entry): void {
    const { pending } = this;
    let index = pending.push(entry) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = pending[parent];
      if (above === undefined || !isBefore(entry, above)) break;
      pending[index] = above;
      index = parent;
    }
    pending[index] = entry;
  }

  private pop(): Entry {
    const { pending } = this;
    const first = pending[0];
    const last = pending.pop();
    if (first === undefined || last === undefined) throw new Error('nothing is pending');
    if (pending.length === 0) return first;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      const left = pending[child];
      const right = pending[child + 1];
      if (left === undefined) break;
      if (right !== undefined && isBefore(right, left)) child += 1;
      const below = pending[child];
      if (below === undefined || !isBefore(below, last)) break;
      pending[index] = below;
      index = child;
    }
    pending[index] = last;
    return first;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
