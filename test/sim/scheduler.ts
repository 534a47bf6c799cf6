interface Entry {
  readonly at: number;
  readonly order: number;
  /** null = cancelled */
  run: (() => void) | null;
}

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
    for (let next = this.pending[0]; next !== undefined && next.at <= untilMs; next = this.pending[0]) {
      this.pop();
      if (next.run === null) continue;
      this.nowMs = next.at;
      next.run();
      await settled();
      afterEach();
    }
    this.nowMs = Math.max(this.nowMs, untilMs);
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

  private pop(): void {
    const { pending } = this;
    const last = pending.pop();
    if (last === undefined || pending.length === 0) return;
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
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** All promises that can go on have gone on: microtasks run to their end before an immediate does. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
