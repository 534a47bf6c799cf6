import type { FaultClass } from './fault-plan.ts';

/**
 * Edges of the machine that no world takes, or not under these classes of faults, and why. A run in which one of them is
 * reached is red: then the reason is wrong, and the line has to go.
 */
export interface Unreachable {
  readonly edge: string;
  /** null = under none, and not without a fault either */
  readonly classes: readonly FaultClass[] | null;
  readonly because: string;
}

export const unreachable: readonly Unreachable[] = [];
