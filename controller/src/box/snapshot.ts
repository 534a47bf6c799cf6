import type { SnapshotFrom } from 'xstate';
import { z } from 'zod';
import { BoxContext, freshContext } from './context.ts';
import { longestRetryMs } from './failing.ts';
import type { Facts } from './facts.ts';
import { boxMachine } from './machine.ts';

const StateValue = z.union([
  z.enum(['absent', 'failed']),
  z.strictObject({ provisioning: z.enum(['pulling', 'creating', 'starting', 'probing']) }),
  z.strictObject({ ready: z.enum(['active', 'idle']) }),
  z.strictObject({ reaping: z.enum(['stopping', 'removing']) }),
]);
export type StateValue = z.infer<typeof StateValue>;

export type BoxSnapshot = SnapshotFrom<typeof boxMachine>;

/** A state as it was stored: nothing of it is believed before it is checked. */
export interface StoredState {
  readonly value: unknown;
  readonly context: unknown;
}

/** The stored snapshot, or a fresh one where it cannot be read: then the facts alone lead to the right state. */
export function restore(stored: StoredState | null): BoxSnapshot {
  return boxMachine.resolveState(checked(stored));
}

/** The same, at the time of these facts. */
export function restoreAt(stored: StoredState | null, facts: Facts): BoxSnapshot {
  const { value, context } = checked(stored);
  return boxMachine.resolveState({ value, context: notAhead(context, facts) });
}

function checked(stored: StoredState | null): { value: StateValue; context: BoxContext } {
  const value = StateValue.safeParse(stored?.value);
  const context = BoxContext.safeParse(stored?.context);
  if (!context.success) return { value: 'absent', context: { ...freshContext, isLost: true } };
  const { drainId, drainCause } = context.data;
  // A drain that does not know what it drains could never end.
  const isLostDrain = phaseIsReaping(value.data) && (drainId === '' || drainCause === null);
  if (value.success && !isLostDrain) return { value: value.data, context: context.data };
  const { keepUntil, keepCause, amnestyId, orphanGranted, isLost } = context.data;
  return { value: 'absent', context: { ...freshContext, keepUntil, keepCause, amnestyId, orphanGranted, isLost } };
}

/** A time further ahead than any that is ever set was set while Redis' clock was ahead: waiting for it could take years. */
function notAhead(context: BoxContext, { now, boxClass, orphanGraceMs }: Facts): BoxContext {
  const { retryAt, readyAt, keepUntil, vault } = context;
  return {
    ...context,
    retryAt: Math.min(retryAt, now + longestRetryMs),
    readyAt: readyAt === null ? null : Math.min(readyAt, now),
    vault: { ...vault, retryAt: Math.min(vault.retryAt, now + longestRetryMs) },
    // Of a class that is not configured nobody knows how long its boxes are kept.
    keepUntil: boxClass === null ? keepUntil : Math.min(keepUntil, now + orphanGraceMs),
  };
}

function phaseIsReaping(value: StateValue | undefined): boolean {
  return typeof value === 'object' && 'reaping' in value;
}

/** A state's name, as rules and people have it: `provisioning.pulling`. */
export function stateName(value: StateValue): string {
  return typeof value === 'string' ? value : Object.entries(value).flat().join('.');
}

/** The state as it is stored. */
export function stateOf(snapshot: BoxSnapshot): StateValue {
  return StateValue.parse(snapshot.value);
}
