import { transition } from 'xstate';
import type { Phase, Step } from '#shared/status.ts';
import { waitOfPlace } from './admitting.ts';
import { adoptable, consentedForeign } from './adopting.ts';
import { type Command, noCommand } from './command.ts';
import type { BoxContext } from './context.ts';
import type { Facts } from './facts.ts';
import { isIdleDue, isRolloutDue, wantedUntilOf } from './holding.ts';
import { boxMachine } from './machine.ts';
import { isPaused, waitsForDrain } from './modes.ts';
import { isLive } from './ownership.ts';
import { vaultRetryAt } from './vault.ts';
import { restoreAt, type StateValue, type StoredState, stateOf } from './snapshot.ts';

const engineDownLookMs = 1_000;
const engineDownIdleLookMs = 5_000;
const creationLookMs = 250;
/** Ends that this process is not told of (a removal by somebody else, a restart by the engine) are looked for this often. */
const waitLookMs = 500;
/** The end of a pull is told, and its progress too. */
const pullLookMs = 5_000;
const adoptLookMs = 5_000;

export interface Plan {
  /** the state that it was in */
  readonly from: StateValue;
  readonly value: StateValue;
  readonly context: BoxContext;
  readonly phase: Phase;
  readonly step: Step | null;
  readonly command: Command;
  /** the edge that was taken, as a sentence */
  readonly rule: string;
  /** when to look again if nothing happens before; null = only when something happens (or the resync comes) */
  readonly requeueAfterMs: number | null;
}

/** One step of the machine: the stored state and the facts give the next state and at most one command. */
export function planNext(stored: StoredState | null, facts: Facts): Plan {
  const before = restoreAt(stored, facts);
  const [snapshot, actions] = transition(boxMachine, before, { type: 'OBSERVED', facts });
  let command: Command = noCommand;
  let rule = '';
  for (const action of actions) {
    if (action.type !== 'plan') continue;
    if (rule !== '') throw new Error(`two plans in one pass: "${rule}" and another`);
    const params = planParams(action.params);
    command = params.command;
    rule = params.rule;
  }
  const value = stateOf(snapshot);
  const { phase, step } = phaseOf(value);
  const { context } = snapshot;
  const requeueAfterMs = requeueOf(phase, step, context, facts);
  return { from: stateOf(before), value, context, phase, step, command, rule, requeueAfterMs };
}

/** The only place that names a phase for a state. */
export function phaseOf(value: StateValue): { phase: Phase; step: Step | null } {
  if (typeof value === 'string') return { phase: value, step: null };
  if ('provisioning' in value) return { phase: 'provisioning', step: value.provisioning };
  if ('ready' in value) return { phase: 'ready', step: value.ready };
  return { phase: 'reaping', step: value.reaping };
}

/** Deadlines are data: there is no timer for a box anywhere but the queue's one. */
function requeueOf(phase: Phase, step: Step | null, context: BoxContext, facts: Facts): number | null {
  const { now } = facts;
  // A change of the mode wakes everybody.
  if (isPaused(facts)) return null;
  if (facts.engineDown !== null) {
    if (facts.hasLease) return engineDownLookMs;
    return phase === 'absent' ? null : engineDownIdleLookMs;
  }
  const adoptAt = consentedForeign(facts) === null ? [] : [now + adoptLookMs];
  switch (phase) {
    case 'absent':
      if (waitsForDrain(facts)) return null;
      if (waitOfPlace(context, facts) !== null) return soonest(now, lineLooks(context, facts));
      if (facts.hasLease || facts.ownership.box !== null || facts.desired?.deletedAt !== undefined) return 0;
      if (adoptable(facts) !== null) return 0;
      return soonest(now, adoptAt);
    case 'provisioning':
      if (step === 'pulling' && facts.image.state === 'pulling') return pullLookMs;
      return context.creationsSeen > 0 ? creationLookMs : waitLookMs;
    case 'failed':
      if (!facts.hasLease && facts.ownership.box === null) return 0;
      return soonest(now, [context.retryAt, ...idleLooks(context, facts), ...adoptAt]);
    case 'reaping':
      return facts.stopping.includes(context.drainId) ? null : Math.max(waitLookMs, context.retryAt - now);
    case 'ready': {
      const times = [...idleLooks(context, facts), ...adoptAt];
      if (facts.nextLeaseExpiry !== null) times.push(facts.nextLeaseExpiry);
      if (context.retryAt > now) times.push(context.retryAt);
      const vaultAt = vaultRetryAt(context, facts);
      if (vaultAt !== null) times.push(vaultAt);
      return Math.max(1, soonest(now, times) ?? 1);
    }
  }
}

/** When to ask for a place again, or whether anybody still does. */
function lineLooks(context: BoxContext, facts: Facts): number[] {
  const looks = [facts.now + (waitOfPlace(context, facts)?.lookMs ?? 0)];
  return facts.nextLeaseExpiry === null ? looks : [...looks, facts.nextLeaseExpiry];
}

/** When a live box becomes due for an idle reap; where that, or a rollout, is due and waits for its turn, when that comes. */
function idleLooks(context: BoxContext, facts: Facts): number[] {
  const { box } = facts.ownership;
  if (box === null || !isLive(box)) return [];
  const turn = facts.pacedUntil === null ? [] : [facts.pacedUntil];
  if (isIdleDue(context, facts)) return turn;
  return [wantedUntilOf(context, facts), ...(isRolloutDue(context, facts) ? turn : [])];
}

function soonest(now: number, times: readonly number[]): number | null {
  return times.length === 0 ? null : Math.max(0, Math.min(...times) - now);
}

/** xstate types an action's params as unknown where several actions share a machine; ours carry exactly these. */
function planParams(params: unknown): { command: Command; rule: string } {
  return params as { command: Command; rule: string };
}
