import type { BoxRecord, BoxStatus, StatusBody } from '#shared/status.ts';
import type { Facts } from '../box/facts.ts';
import type { Plan } from '../box/plan.ts';
import { stateName } from '../box/snapshot.ts';
import type { Commit, CommitEvent, Intent } from '../store/status-store.ts';
import type { Decision } from './decide.ts';

/** The reason of an event that tells of a step and of nothing else: no condition has it. */
const stepReason = 'Step';

/** What a pass asks the commit script for: the new status, and with it the permission for its command. */
export function commitOf(record: BoxRecord, { facts, plan, body }: Decision): Commit {
  const { status, user } = record;
  const { context, phase } = plan;
  const container = containerOf(facts, plan);
  return {
    user,
    version: status?.version ?? 0,
    phase,
    containerId: container.id,
    containerGeneration: container.generation,
    keepUntil: context.keepUntil,
    keepCause: context.keepCause,
    body,
    intent: intentOf(plan),
    events: eventsOf(status, plan, body),
    mode: facts.mode.mode,
  };
}

/** The container that the status speaks of: the one being drained, else the box. */
export function containerOf(facts: Facts, plan: Plan): { id: string; generation: number } {
  const { box, extras, foreign } = facts.ownership;
  const id = plan.phase === 'reaping' ? plan.context.drainId : (box?.id ?? '');
  const container = [box, ...extras, foreign].find((candidate) => candidate?.id === id);
  return { id, generation: container?.generation ?? 0 };
}

function intentOf({ command, phase, context }: Plan): Intent {
  if (command.type === 'forget') return { kind: 'forget' };
  if ('cause' in command && command.cause !== null) {
    return { kind: 'drain', cause: command.cause, containerId: command.id };
  }
  // Also where a drain begins without a command, as while an earlier stop of this process still runs: who begins one asks.
  if (phase !== 'reaping' || context.drainCause === null) return { kind: 'none' };
  return { kind: 'drain', cause: context.drainCause, containerId: context.drainId };
}

/** What is worth a line in the box's history: every new reason, and every edge that led to another state. */
function eventsOf(status: BoxStatus | null, plan: Plan, body: StatusBody): CommitEvent[] {
  const [from, to] = [stateName(plan.from), stateName(plan.value)];
  const taken = from === to ? {} : { edge: { from, to, rule: plan.rule } };
  const ready = body.conditions.find((condition) => condition.type === 'Ready');
  const before = status?.conditions.find((condition) => condition.type === 'Ready');
  if (ready !== undefined && before?.reason !== ready.reason) {
    return [{ reason: ready.reason, message: ready.message, ...taken }];
  }
  return from === to ? [] : [{ reason: stepReason, message: plan.rule, ...taken }];
}
