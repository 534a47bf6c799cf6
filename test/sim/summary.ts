import { machineEdges } from './coverage.ts';
import { faultKinds } from './fault-plan.ts';
import { runSeed, type SeedOptions, type SeedResult } from './run-seed.ts';

/** What is kept of a seed among many. */
export interface Summary {
  readonly seed: number;
  readonly violation: string | null;
  readonly faults: number;
  readonly steps: number;
  readonly healMs: number | null;
  readonly reached: readonly (readonly [string, number])[];
  /** edge, fault kind, times */
  readonly edges: readonly (readonly [string, string, number])[];
}

/** An error of the simulation itself is as red as a broken promise: nothing was proved. */
export async function summarized(seed: number, options: SeedOptions): Promise<Summary> {
  try {
    return summaryOf(await runSeed(seed, options));
  } catch (error) {
    const violation = error instanceof Error ? `the simulation failed: ${error.stack}` : String(error);
    return { seed, violation, faults: 0, steps: 0, healMs: null, reached: [], edges: [] };
  }
}

function summaryOf({ seed, violations, faults, steps, healMs, reached, coverage }: SeedResult): Summary {
  const edges = [...coverage.edges].flatMap(([edge, kinds]) =>
    [...kinds].map(([kind, times]) => [edge, kind, times] as const),
  );
  return { seed, violation: violations[0] ?? null, faults: faults.length, steps, healMs, reached: [...reached], edges };
}

/** The sum of many seeds, and what of the machine they reached. */
export class Report {
  private seeds = 0;
  private faults = 0;
  private steps = 0;
  private readonly red: Summary[] = [];
  private readonly heals: number[] = [];
  private readonly reached = new Map<string, number>();
  private readonly edges = new Map<string, Map<string, number>>();

  add(summary: Summary): void {
    this.seeds += 1;
    this.faults += summary.faults;
    this.steps += summary.steps;
    if (summary.violation !== null) this.red.push(summary);
    if (summary.healMs !== null) this.heals.push(summary.healMs);
    for (const [what, times] of summary.reached) this.reached.set(what, (this.reached.get(what) ?? 0) + times);
    for (const [edge, kind, times] of summary.edges) {
      const kinds = this.edges.get(edge) ?? new Map<string, number>();
      this.edges.set(edge, kinds);
      kinds.set(kind, (kinds.get(kind) ?? 0) + times);
    }
  }

  isRed(): boolean {
    return this.red.length > 0;
  }

  /** Edges of the machine that no seed took. */
  neverTaken(): string[] {
    return machineEdges().filter((edge) => !this.edges.has(edge));
  }

  lines(): string[] {
    const heals = this.heals.toSorted((a, b) => a - b);
    const at = (share: number): string => ((heals[Math.floor(share * (heals.length - 1))] ?? 0) / 1_000).toFixed(0);
    const edges = machineEdges();
    const taken = edges.filter((edge) => this.edges.has(edge));
    const pairs = taken.reduce(
      (sum, edge) => sum + [...(this.edges.get(edge) ?? [])].filter(([kind]) => kind).length,
      0,
    );
    return [
      '',
      'reached, times:',
      ...[...this.reached].toSorted((a, b) => b[1] - a[1]).map(([what, times]) => `${times}\t${what}`),
      '',
      'edge of the machine, times taken, under how many kinds of faults:',
      ...taken.map((edge) => {
        const kinds = this.edges.get(edge) ?? new Map<string, number>();
        const times = [...kinds.values()].reduce((sum, each) => sum + each, 0);
        const missing = faultKinds.filter((kind) => !kinds.has(kind));
        const without = missing.length > 0 && missing.length <= 12 ? `, not under ${missing.join(' ')}` : '';
        return `${times}\t${faultKinds.length - missing.length}/${faultKinds.length}\t${edge}${without}`;
      }),
      ...this.neverTaken().map((edge) => `NEVER\t${edge}`),
      '',
      ...this.red.map(({ seed, violation }) => `seed ${seed}: ${violation}`),
      `${this.seeds} seeds, ${this.faults} faults, ${this.steps} steps, ${this.red.length} red`,
      `edges taken: ${taken.length} of ${edges.length}; edge × kind of fault: ${pairs} of ${edges.length * faultKinds.length}`,
      `everybody has a box after the last fault: p50 ${at(0.5)} s, p99 ${at(0.99)} s, at most ${at(1)} s`,
    ];
  }
}
