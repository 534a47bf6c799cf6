import { machineEdges } from './coverage.ts';
import { type FaultClass, faultClassNames } from './fault-plan.ts';
import type { Summary } from './summary.ts';
import { type Unreachable, unreachable } from './unreachable.ts';

/** One edge of the machine under one class of faults. */
export interface Cell {
  readonly edge: string;
  readonly faultClass: FaultClass;
}

/** A seed in which an edge was taken. */
export interface EdgeWitness {
  readonly seed: string;
  readonly at: number;
  readonly user: string;
}

/** So many seeds are remembered for each edge, to try more than one. */
const witnessesMost = 8;

/** The sum of many seeds, and what of the machine they reached. */
export class Report {
  private readonly listed: readonly Unreachable[];
  private seeds = 0;
  private faults = 0;
  private steps = 0;
  private readonly red: Summary[] = [];
  private readonly heals: number[] = [];
  private readonly reached = new Map<string, number>();
  private readonly edges = new Map<string, Map<string, number>>();
  private readonly witnesses = new Map<string, EdgeWitness[]>();

  constructor(listed: readonly Unreachable[] = unreachable) {
    this.listed = listed;
  }

  add(summary: Summary): void {
    this.seeds += 1;
    this.faults += summary.faults;
    this.steps += summary.steps;
    if (summary.violation !== null) this.red.push(summary);
    if (summary.healMs !== null) this.heals.push(summary.healMs);
    for (const [what, times] of summary.reached) this.reached.set(what, (this.reached.get(what) ?? 0) + times);
    for (const [edge, name, times] of summary.edges) {
      const classes = this.edges.get(edge) ?? new Map<string, number>();
      this.edges.set(edge, classes);
      classes.set(name, (classes.get(name) ?? 0) + times);
    }
    // Not those with a fault beside: another beside that would make the recipe grow for ever.
    if (summary.seed.includes('+')) return;
    for (const [edge, at, user] of summary.first) {
      const known = this.witnesses.get(edge) ?? [];
      this.witnesses.set(edge, known);
      if (known.length < witnessesMost) known.push({ seed: summary.seed, at, user });
    }
  }

  ran(): number {
    return this.seeds;
  }

  violations(): string[] {
    return this.red.map(({ seed, violation }) => `seed ${seed}: ${violation}`);
  }

  witnessesOf(edge: string): readonly EdgeWitness[] {
    return this.witnesses.get(edge) ?? [];
  }

  isReached({ edge, faultClass }: Cell): boolean {
    return this.edges.get(edge)?.has(faultClass) ?? false;
  }

  /** Cells that are possible, and were not reached. */
  missing(): Cell[] {
    return machineEdges().flatMap((edge) =>
      faultClassNames
        .map((faultClass) => ({ edge, faultClass }))
        .filter((cell) => !this.isReached(cell) && !this.isListed(cell)),
    );
  }

  /** What is wrong with the table of what cannot be reached. */
  wronglyListed(): string[] {
    const known = new Set(machineEdges());
    return this.listed.flatMap(({ edge, classes, because }) => {
      if (!known.has(edge)) return [`listed as never reached, and the machine does not have it: ${edge}`];
      const taken = [...(this.edges.get(edge)?.keys() ?? [])];
      const found = taken.filter((name) => classes === null || classes.some((each) => each === name));
      return found.length === 0
        ? []
        : [`listed as never reached, and reached (${found.join(', ')}): ${edge}, because ${because}`];
    });
  }

  /** One line for a short run. */
  coverage(): string {
    const edges = machineEdges();
    const cells = edges.length * faultClassNames.length;
    const cellsListed = edges.reduce(
      (sum, edge) => sum + faultClassNames.filter((faultClass) => this.isListed({ edge, faultClass })).length,
      0,
    );
    const reached = edges.reduce(
      (sum, edge) => sum + faultClassNames.filter((faultClass) => this.isReached({ edge, faultClass })).length,
      0,
    );
    const taken = edges.filter((edge) => this.edges.has(edge)).length;
    return `edges taken: ${taken} of ${edges.length}; edge × class of fault: ${reached} of ${cells - cellsListed} possible (${cellsListed} listed as impossible)`;
  }

  lines(): string[] {
    const heals = this.heals.toSorted((a, b) => a - b);
    const at = (share: number): string => ((heals[Math.floor(share * (heals.length - 1))] ?? 0) / 1_000).toFixed(0);
    const wrong = this.wronglyListed();
    return [
      '',
      'reached, times:',
      ...[...this.reached].toSorted((a, b) => b[1] - a[1]).map(([what, times]) => `${times}\t${what}`),
      '',
      'edge of the machine, times taken, under how many classes of faults:',
      ...machineEdges().map((edge) => this.lineOf(edge)),
      '',
      ...wrong,
      ...this.violations(),
      `${this.seeds} seeds, ${this.faults} faults, ${this.steps} steps, ${this.red.length} red`,
      this.coverage(),
      `everybody has a box after the last fault: p50 ${at(0.5)} s, p99 ${at(0.99)} s, at most ${at(1)} s`,
    ];
  }

  private lineOf(edge: string): string {
    const classes = this.edges.get(edge);
    const missing = faultClassNames.filter(
      (faultClass) => !this.isReached({ edge, faultClass }) && !this.isListed({ edge, faultClass }),
    );
    if (classes === undefined) return missing.length > 0 ? `NEVER\t${edge}` : `listed\t${edge}`;
    const times = [...classes.values()].reduce((sum, each) => sum + each, 0);
    const reached = faultClassNames.filter((faultClass) => this.isReached({ edge, faultClass })).length;
    const without = missing.length === 0 ? '' : `, MISSING ${missing.join('; ')}`;
    return `${times}\t${reached}/${faultClassNames.length}\t${edge}${without}`;
  }

  private isListed({ edge, faultClass }: Cell): boolean {
    return this.listed.some((each) => each.edge === edge && (each.classes?.includes(faultClass) ?? true));
  }
}
