import { transition } from 'xstate';
import type { Phase, Step } from '#shared/status.ts';
import { type Command, noCommand } from './command.ts';
import type { BoxContext } from './context.ts';
import type { Facts } from './facts.ts';
import { consentedForeign, isIdleDue, wantedUntilOf } from './holding.ts';
import { boxMachine } from './machine.ts';
import { restore, type StateValue, stateOf } from './snapshot.ts';

const engineDownLookMs = 1_000;
const creationLookMs = 250;
/** Ends that this process is not told of (a removal by somebody else, a restart by the engine) are looked for this often. */
const waitLookMs = 500;
const adoptLookMs = 5_000;

export interface Plan {
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
export function planNext(stored: { readonly value: unknown; readonly context: unknown } | null, facts: Facts): Plan {
  const [snapshot, actions] = transition(boxMachine, restore(stored), { type: 'OBSERVED', facts });
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
  return { value, context, phase, step, command, rule, requeueAfterMs: requeueOf(phase, context, facts) };
}

/** The only place that names a phase for a state. */
export function phaseOf(value: StateValue): { phase: Phase; step: Step | null } {
  if (typeof value === 'string') return { phase: value, step: null };
  if ('provisioning' in value) return { phase: 'provisioning', step: value.provisioning };
  if ('ready' in value) return { phase: 'ready', step: value.ready };
  return { phase: 'reaping', step: value.reaping };
}

/** Deadlines are data: there is no timer for a box anywhere but the queue's one. */
function requeueOf(phase: Phase, context: BoxContext, facts: Facts): number | null {
  if (facts.engineDown !== null) return facts.hasLease ? engineDownLookMs : null;
  switch (phase) {
    case 'absent':
      if (consentedForeign(facts) !== null) return adoptLookMs;
      return facts.hasLease || facts.ownership.box !== null || facts.desired?.deletedAt !== undefined ? 0 : null;
    case 'provisioning':
      return context.creationsSeen > 0 ? creationLookMs : waitLookMs;
    case 'failed':
      return Math.max(0, context.retryAt - facts.now);
    case 'reaping':
      return facts.stopping.includes(context.drainId) ? null : Math.max(waitLookMs, context.retryAt - facts.now);
    case 'ready': {
      const times = [wantedUntilOf(context, facts)];
      if (facts.nextLeaseExpiry !== null) times.push(facts.nextLeaseExpiry);
      if (isIdleDue(context, facts) && facts.pacedUntil !== null) return Math.max(1, facts.pacedUntil - facts.now);
      if (context.retryAt > facts.now) times.push(context.retryAt);
      return Math.max(1, Math.min(...times) - facts.now);
    }
  }
}

/** xstate types an action's params as unknown where several actions share a machine; ours carry exactly these. */
function planParams(params: unknown): { command: Command; rule: string } {
  return params as { command: Command; rule: string };
}
