import type { Persist } from '#shared/lease.ts';

/** How the terminals of a class behave. */
export interface TerminalSettings {
  readonly persist: Persist;
  readonly record: 'off' | 'output' | 'input';
  /** how long the box lives under an attached terminal in which nothing happens */
  readonly attachedIdleMs: number;
}

/** What is recorded where class and token ask for it: the more of both. */
export function recordedOf(
  byClass: TerminalSettings['record'],
  byToken: TerminalSettings['record'] | null,
): TerminalSettings['record'] {
  if (byClass === 'input' || byToken === 'input') return 'input';
  return byClass === 'output' || byToken === 'output' ? 'output' : 'off';
}
