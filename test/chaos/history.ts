/** What was broken when, and which promises were looked at with what result. All times are `Date.now()` of this machine. */

export interface Violation {
  readonly atMs: number;
  readonly what: string;
}

/** One thing that was broken. */
export interface Fault {
  readonly kind: string;
  /** parts and wires that it touches: `gateway-1`, `gateway-1 to redis`, `engine`, … */
  readonly touches: readonly string[];
  readonly beganMs: number;
  endedMs: number | null;
  /** how long after its end everybody was served again; null = never, or it was not waited for */
  healMs: number | null;
}

const keptViolations = 1_000;

export class History {
  readonly faults: Fault[] = [];
  readonly violations: Violation[] = [];
  /** promise → how often it was looked at and held */
  readonly promises = new Map<string, number>();
  /** what is no violation and worth a look: how often */
  readonly notes = new Map<string, number>();
  readonly #say: (text: string) => void;

  constructor(say: (text: string) => void) {
    this.#say = say;
  }

  begins(kind: string, touches: readonly string[]): Fault {
    const fault: Fault = { kind, touches, beganMs: Date.now(), endedMs: null, healMs: null };
    this.faults.push(fault);
    return fault;
  }

  /** Whether something that touches one of these was broken in this time, or had been mended at most `afterMs` before. */
  wasBroken(touched: readonly string[], fromMs: number, toMs: number, afterMs = 0): boolean {
    return this.faults.some(
      (fault) =>
        fault.beganMs <= toMs &&
        (fault.endedMs === null || fault.endedMs + afterMs >= fromMs) &&
        fault.touches.some((touches) => touched.includes(touches)),
    );
  }

  /** A promise was looked at, and held. */
  checked(promise: string, times = 1): void {
    this.promises.set(promise, (this.promises.get(promise) ?? 0) + times);
  }

  violated(what: string, atMs = Date.now()): void {
    if (this.violations.length >= keptViolations) return;
    this.violations.push({ atMs, what });
    this.#say(`VIOLATED: ${what}`);
  }

  noted(what: string, times = 1): void {
    this.notes.set(what, (this.notes.get(what) ?? 0) + times);
  }
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
