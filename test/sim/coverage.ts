import { boxMachine } from '../../controller/src/box/machine.ts';
import type { FaultKind } from './fault-plan.ts';

/** How long a fault that is over at once still counts as the reason of what follows. */
const aftermathMs = 20_000;
/** And one that lasts, after its end. */
const echoMs = 5_000;

/** Which edges of the box machine were taken, and which faults were in force then. */
export class Coverage {
  /** edge → fault kind ('' = none) → times */
  readonly edges = new Map<string, Map<string, number>>();
  private readonly inForce = new Map<FaultKind, number>();

  fault(kind: FaultKind, now: number, forMs: number): void {
    const until = now + Math.max(aftermathMs, forMs + echoMs);
    this.inForce.set(kind, Math.max(until, this.inForce.get(kind) ?? 0));
  }

  /** A pass took this edge. `from` is the state as it was stored. */
  edge(from: unknown, rule: string, now: number): void {
    const key = `${stateOf(from)}: ${rule}`;
    const kinds = this.edges.get(key) ?? new Map<string, number>();
    this.edges.set(key, kinds);
    let any = false;
    for (const [kind, until] of this.inForce) {
      if (until < now) continue;
      any = true;
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    }
    if (!any) kinds.set('', (kinds.get('') ?? 0) + 1);
  }
}

/** Every edge that the machine has: state and rule. */
export function machineEdges(): string[] {
  const edges: string[] = [];
  const walk = (node: typeof boxMachine.root): void => {
    const own = node.transitions.get('OBSERVED') ?? [];
    for (const { description } of own) edges.push(`${node.path.join('.')}: ${description}`);
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
