/** As many entries are kept before those that no longer count are thrown out. */
const freeEntries = 64;
const entriesPerKey = 4;

/**
 * Deadlines by key: the earliest of each key counts. A binary heap whose entries are dropped lazily: an entry that no longer
 * is its key's deadline is skipped when it comes up.
 */
export class DeadlineHeap<Key> {
  private readonly current = new Map<Key, number>();
  private entries: { key: Key; at: number }[] = [];

  get size(): number {
    return this.current.size;
  }

  set(key: Key, at: number): void {
    if ((this.current.get(key) ?? Number.POSITIVE_INFINITY) <= at) return;
    this.current.set(key, at);
    if (this.entries.length < freeEntries + entriesPerKey * this.current.size) this.push({ key, at });
    else this.compact();
  }

  delete(key: Key): void {
    this.current.delete(key);
  }

  /** The earliest deadline, or null. */
  peek(): { key: Key; at: number } | null {
    for (let top = this.entries[0]; top !== undefined; top = this.entries[0]) {
      if (this.current.get(top.key) === top.at) return top;
      this.pop();
    }
    return null;
  }

  private compact(): void {
    this.entries = [];
    for (const [key, at] of this.current) this.push({ key, at });
  }

  private push(entry: { key: Key; at: number }): void {
    const { entries } = this;
    let index = entries.push(entry) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (this.at(parent) <= entry.at) break;
      this.move(parent, index);
      index = parent;
    }
    entries[index] = entry;
  }

  private pop(): void {
    const { entries } = this;
    const last = entries.pop();
    if (last === undefined || entries.length === 0) return;
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      const child = this.at(left + 1) < this.at(left) ? left + 1 : left;
      if (this.at(child) >= last.at) break;
      this.move(child, index);
      index = child;
    }
    entries[index] = last;
  }

  private at(index: number): number {
    return this.entries[index]?.at ?? Number.POSITIVE_INFINITY;
  }

  private move(from: number, to: number): void {
    const entry = this.entries[from];
    if (entry !== undefined) this.entries[to] = entry;
  }
}
