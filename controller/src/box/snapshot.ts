import type { SnapshotFrom } from 'xstate';
import { z } from 'zod';
import { BoxContext, freshContext } from './context.ts';
import { boxMachine } from './machine.ts';

const StateValue = z.union([
  z.enum(['absent', 'failed']),
  z.strictObject({ provisioning: z.enum(['pulling', 'creating', 'starting', 'probing']) }),
  z.strictObject({ ready: z.enum(['active', 'idle']) }),
  z.strictObject({ reaping: z.enum(['stopping', 'removing']) }),
]);
export type StateValue = z.infer<typeof StateValue>;

export type BoxSnapshot = SnapshotFrom<typeof boxMachine>;

/** The stored snapshot, or a fresh one where it cannot be read: then the facts alone lead to the right state. */
export function restore(stored: { readonly value: unknown; readonly context: unknown } | null): BoxSnapshot {
  const value = StateValue.safeParse(stored?.value);
  const context = BoxContext.safeParse(stored?.context);
  // A drain that does not know what it drains could never end.
  const lost = phaseIsReaping(value.data) && (context.data?.drainId === '' || context.data?.drainCause === null);
  if (!value.success || !context.success || lost) {
    return boxMachine.resolveState({ value: 'absent', context: freshContext });
  }
  return boxMachine.resolveState({ value: value.data, context: context.data });
}

function phaseIsReaping(value: StateValue | undefined): boolean {
  return typeof value === 'object' && 'reaping' in value;
}

/** The state as it is stored. */
export function stateOf(snapshot: BoxSnapshot): StateValue {
  return StateValue.parse(snapshot.value);
}
