/** What the clients of a chaos run saw, and what it says about the promises. All times are `performance.now()` of the run. */

export interface Violation {
  readonly atMs: number;
  readonly what: string;
}

interface Held {
  readonly user: string;
  /** when the holder asked; it counts on the lease from the answer on, which is later */
  readonly askedMs: number;
  /** as the holder was told, minus what the answer took: the lease is live for at least so long */
  readonly untilMs: number;
}

const keptLeases = 20_000;
/** Between the asking and the taking: a reap committed in between was right. */
const graceMs = 5_500;

export class History {
  readonly violations: Violation[] = [];
  readonly faults = new Map<string, number>();
  /** from the end of a fault until everybody who wants a box had one again, ms */
  readonly heals: number[] = [];
  readonly promises = new Map<string, number>();
  /** every answer that promised something, also those that were given back since */
  private readonly all: (Held & { overMs?: number })[] = [];
  private readonly held = new Map<string, Held>();

  /** A holder was told at `now` that its lease, asked for at `askedMs`, lives for `ttlMs`. */
  acknowledged(user: string, lease: string, askedMs: number, ttlMs: number): void {
    const held = { user, askedMs, untilMs: askedMs + ttlMs };
    this.held.set(`${user}/${lease}`, held);
    this.all.push(held);
    if (this.all.length > keptLeases) this.all.splice(0, keptLeases / 2);
  }

  /** The holder gives it back, or was told that it has ended. */
  over(user: string, lease: string): void {
    const held = this.held.get(`${user}/${lease}`);
    this.held.delete(`${user}/${lease}`);
    for (const each of this.all) if (each.user === user && held !== undefined) each.overMs ??= performance.now();
  }

  /** A controller committed an idle reap at `atMs`: nobody may have counted on the box then. */
  reaped(user: string, atMs: number): void {
    const counted = this.all.some(
      (held) =>
        held.user === user && held.askedMs + graceMs < atMs && atMs < Math.min(held.untilMs, held.overMs ?? atMs + 1),
    );
    if (counted)
      this.violated(`2: ${user} was reaped for being idle at ${(atMs / 1_000).toFixed(1)} s, and held a lease`);
    else this.checked('an idle reap met nobody who counted on the box');
  }

  isHeld(user: string, atMs: number): boolean {
    return [...this.held.values()].some((held) => held.user === user && held.untilMs > atMs);
  }

  fault(kind: string): void {
    this.faults.set(kind, (this.faults.get(kind) ?? 0) + 1);
  }

  /** A promise was looked at, and held. */
  checked(promise: string): void {
    this.promises.set(promise, (this.promises.get(promise) ?? 0) + 1);
  }

  violated(what: string): void {
    const seen = this.violations.some((violation) => violation.what === what);
    if (!seen) this.violations.push({ atMs: performance.now(), what });
  }
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
