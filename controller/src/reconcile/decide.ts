import { isDeepStrictEqual } from 'node:util';
import type { BoxRecord, BoxStatus, StatusBody } from '#shared/status.ts';
import { statusBodyOf } from '../box/conditions.ts';
import type { Facts } from '../box/facts.ts';
import { type Plan, planNext } from '../box/plan.ts';
import { containerOf } from './commit.ts';
import { gatherFacts, type PassState, type Sources } from './gather.ts';

export interface Decision {
  readonly facts: Facts;
  readonly plan: Plan;
  /** what the status is to say */
  readonly body: StatusBody;
  /** no command, and no change of the status */
  readonly isNothing: boolean;
}

/**
 * What a pass is to do for this user now: the one way to it, for passes and for whoever asks what the next one would do. Reads
 * only. A list is good enough to see that nothing is to be done; to do something, look at the box itself.
 */
export async function decide(
  sources: Sources,
  record: BoxRecord,
  state: PassState,
  signal: AbortSignal,
): Promise<Decision> {
  const decision = await decideOnce(sources, record, state, signal);
  if (state.listed === null || decision.isNothing) return decision;
  return await decideOnce(sources, record, { ...state, listed: null, thorough: true }, signal);
}

async function decideOnce(
  sources: Sources,
  record: BoxRecord,
  state: PassState,
  signal: AbortSignal,
): Promise<Decision> {
  return decideOn(record, await gatherFacts(sources, record, state, signal));
}

/** What follows from these facts: asks nobody. */
export function decideOn(record: BoxRecord, facts: Facts): Decision {
  const plan = planNext(record.status, facts);
  const body = statusBodyOf(plan, facts, record.status);
  return {
    facts,
    plan,
    body,
    isNothing: plan.command.type === 'none' && isUnchanged(record.status, plan, facts, body),
  };
}

/** It begins a reap for which the pacer has to give a place; one that was begun has had its own. */
export function isIdleReap({ status }: BoxRecord, { plan: { command } }: Decision): boolean {
  return 'cause' in command && command.cause === 'idle' && status?.phase !== 'reaping';
}

function isUnchanged(status: BoxStatus | null, plan: Plan, facts: Facts, body: StatusBody): boolean {
  // Who waits is told what for, also when the engine does not answer at the very first look.
  if (status === null) return plan.phase === 'absent' && !facts.hasLease && facts.ownership.box === null;
  const { context } = plan;
  const { id, generation } = containerOf(facts, plan);
  return (
    status.phase === plan.phase &&
    (status.containerId ?? '') === id &&
    status.containerGeneration === generation &&
    status.keepUntil === context.keepUntil &&
    status.keepCause === context.keepCause &&
    isDeepStrictEqual(bodyOf(status), body)
  );
}

function bodyOf(status: BoxStatus): StatusBody {
  const { value, context, step, conditions, message, progress, observedGeneration, lastReap, readyAt } = status;
  return { value, context, step, conditions, message, progress, observedGeneration, lastReap, readyAt };
}
