import type { DrainCause } from '#shared/status.ts';
import { placeAfterDrain } from './admitting.ts';
import { type Command, noCommand } from './command.ts';
import { type BoxContext, freshContext } from './context.ts';
import type { Facts } from './facts.ts';
import { faultFailure, realFault } from './failing.ts';
import { drainOf } from './holding.ts';
import type { ContainerView } from './observed.ts';
import { isLiveContainer, type Rule } from './rules.ts';

/** How a box, or what is in its way, is stopped and removed. */

const defaultGraceMs = 10_000;

/** The user's own box has to go. A drain that has begun is never undone. */
export const drains: readonly Rule[] = [
  {
    name: 'its image or class changed, and nobody holds it: stop it, the next one is new',
    when: (context, facts) => drainOf(context, facts) === 'rollout',
    to: 'reaping.stopping',
    context: beginDrain,
    command: (_context, facts) => stopCommand(facts.ownership.box, 'rollout', facts),
  },
  {
    name: 'nobody needs the box, or an operator wants it gone: stop it',
    when: (context, facts) => drainOf(context, facts) !== null && isLiveContainer(facts.ownership.box),
    to: 'reaping.stopping',
    context: beginDrain,
    command: (context, facts) => stopCommand(facts.ownership.box, drainOf(context, facts), facts),
  },
  {
    name: 'the box does not run and is not to be started: remove it',
    when: (context, facts) => drainOf(context, facts) !== null,
    to: 'reaping.removing',
    context: beginDrain,
    command: (context, facts) => removeCommand(facts.ownership.box, drainOf(context, facts)),
  },
];

/** What nobody asks for any more, or an operator wants gone, goes first; a replacement comes after the fault that it follows. */
export const urgentDrains = drainsWhen((context, facts) => !isReplacement(context, facts));

export function drainsWhen(may: Rule['when']): readonly Rule[] {
  return drains.map((rule) => ({
    ...rule,
    when: (context, facts) => may(context, facts) && rule.when(context, facts),
  }));
}

/** Of a box that is being drained: leaves only when the container is gone. */
export const reapingRules: readonly Rule[] = [
  {
    name: 'what was drained is gone',
    when: (context, facts) => drained(context, facts) === null,
    to: 'absent',
    context: (context, facts) => ({
      ...freshContext,
      attempts: facts.hasLease ? context.attempts : 0,
      place: placeAfterDrain(context, facts),
      lastReap:
        context.drainCause === null || context.drainCause === 'stopped'
          ? context.lastReap
          : { cause: context.drainCause, at: facts.now, message: reapMessages[context.drainCause] },
    }),
  },
  {
    name: 'stopping or removing failed: wait and try again',
    when: (context, facts) => realFault(facts, 'drain') !== null && facts.last?.containerId === context.drainId,
    context: (context, facts) => {
      const failed = faultFailure({ ...context, attempts: Math.max(1, context.attempts) }, facts);
      return { ...failed, readyAt: null };
    },
  },
  { name: 'it is not time to try again', when: (context, facts) => facts.now < context.retryAt },
  {
    name: 'it runs: stop it',
    when: (context, facts) => isLiveContainer(drained(context, facts)),
    to: 'reaping.stopping',
    command: (context, facts) => stopCommand(drained(context, facts), context.drainCause, facts),
  },
  {
    name: 'it does not run: remove it',
    when: () => true,
    to: 'reaping.removing',
    command: (context, facts) => removeCommand(drained(context, facts), context.drainCause),
  },
];

/** The box does not run, and somebody waits for another in its place. */
export function isReplacement(context: BoxContext, facts: Facts): boolean {
  return facts.hasLease && drainOf(context, facts) === 'stopped';
}

/** Stop, or unpause first: a paused process cannot answer TERM. None while this process is stopping it already. */
export function stopCommand(container: ContainerView | null, cause: DrainCause | null, facts: Facts): Command {
  if (container === null || cause === null || facts.stopping.includes(container.id)) return noCommand;
  if (container.state === 'paused') return { type: 'unpause', id: container.id, cause };
  const graceMs = container.spec?.stopGraceMs ?? facts.boxClass?.stopGrace ?? defaultGraceMs;
  return { type: 'stop', id: container.id, graceMs, cause };
}

export function removeCommand(container: ContainerView | null, cause: DrainCause | null): Command {
  if (container === null || cause === null || container.state === 'removing') return noCommand;
  return { type: 'remove', id: container.id, cause };
}

function beginDrain(context: BoxContext, facts: Facts): Partial<BoxContext> {
  return { drainId: facts.ownership.box?.id ?? '', drainCause: drainOf(context, facts), retryAt: 0, readyAt: null };
}

function drained(context: BoxContext, facts: Facts): ContainerView | null {
  const { box, extras, foreign } = facts.ownership;
  return [box, ...extras, foreign].find((container) => container?.id === context.drainId) ?? null;
}

/** What `describe` says of the last reap. */
const reapMessages = {
  idle: 'nobody needed the box any more',
  'gave-way': 'nobody held it, and it gave way to others who waited for a box',
  reap: 'an operator reaped it',
  recreate: 'an operator had it made anew',
  deleted: 'it was deleted',
  adopt: 'a container that was not ours was replaced on request',
  stopped: 'it did not run any more',
  duplicate: 'it was a second container of one user',
  rollout: 'its image or class changed while nobody held it',
} as const;
