import type { Persist } from '#shared/lease.ts';

/** How the terminals of a class behave. */
export interface TerminalSettings {
  readonly persist: Persist;
  readonly record: 'off' | 'output' | 'input';
  /** how long the box lives under an attached terminal in which nothing happens */
  readonly attachedIdleMs: number;
}

/** What is recorded where both ask for it: the more of both. */
export function recordedOf(
  one: TerminalSettings['record'],
  other: TerminalSettings['record'] | null,
): TerminalSettings['record'] {
  if (one === 'input' || other === 'input') return 'input';
  return one === 'output' || other === 'output' ? 'output' : 'off';
}
