import { boxMachine } from '../../controller/src/box/machine.ts';
import { classOf, type FaultClass, type FaultKind } from './fault-plan.ts';
import { rulesOfPlaces } from './seek-table.ts';

/** How long a fault that is over at once still counts as the reason of what follows. */
const aftermathMs = 20_000;
/** Of the end of a leader more is felt only when another has taken over, after two of its terms. */
const takeoverMs = 45_000;
/** And one that lasts, after its end. */
const echoMs = 5_000;

const changesLeader = new Set<FaultClass>(['process ended', 'process stands still']);

/** The first time that an edge was taken in a seed. */
export interface Witness {
  readonly at: number;
  readonly user: string;
}

/** Which edges of the box machine were taken, and faults of which classes were in force for that user then. */
export class Coverage {
  /** edge → fault class ('' = none) → times */
  readonly edges = new Map<string, Map<FaultClass | '', number>>();
  readonly first = new Map<string, Witness>();
  /** fault class → user ('' = everybody) → until when */
  private readonly inForce = new Map<FaultClass, Map<string, number>>();

  /** `user` is the one whom it concerns; null = everybody. */
  fault(kind: FaultKind, user: string | null, now: number, forMs: number): void {
    const name = classOf(kind);
    const until = now + Math.max(changesLeader.has(name) ? takeoverMs : aftermathMs, forMs + echoMs);
    const untils = this.inForce.get(name) ?? new Map<string, number>();
    this.inForce.set(name, untils);
    untils.set(user ?? '', Math.max(until, untils.get(user ?? '') ?? 0));
  }

  /** A pass of this user took this edge. `from` is the state as it was stored. */
  edge(from: unknown, rule: string, user: string, now: number): void {
    const key = `${stateOf(from)}: ${rule}`;
    const classes = this.edges.get(key) ?? new Map<FaultClass | '', number>();
    this.edges.set(key, classes);
    if (!this.first.has(key)) this.first.set(key, { at: now, user });
    let any = false;
    for (const [name, untils] of this.inForce) {
      if (Math.max(untils.get('') ?? 0, untils.get(user) ?? 0) < now) continue;
      any = true;
      classes.set(name, (classes.get(name) ?? 0) + 1);
    }
    if (!any) classes.set('', (classes.get('') ?? 0) + 1);
  }
}

/** Every edge that a story can take: state and rule. */
export function machineEdges(): string[] {
  const edges: string[] = [];
  const walk = (node: typeof boxMachine.root): void => {
    const own = node.transitions.get('OBSERVED') ?? [];
    for (const { description = '' } of own) {
      if (!rulesOfPlaces.has(description)) edges.push(`${node.path.join('.')}: ${description}`);
    }
    for (const child of Object.values(node.states)) walk(child);
  };
  walk(boxMachine.root);
  return [...new Set(edges)];
}

function stateOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value !== 'object' || value === null) return 'absent';
  return Object.entries(value)
    .map(([phase, step]) => `${phase}.${String(step)}`)
    .join();
}
