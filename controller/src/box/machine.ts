import { assign, setup } from 'xstate';
import { type Command, noCommand } from './command.ts';
import { type BoxContext, freshContext } from './context.ts';
import type { Facts } from './facts.ts';
import { faultFailure, outsideFailure, realFault } from './failing.ts';
import { adoptable, drainOf, keepOf } from './holding.ts';
import type { ContainerView } from './observed.ts';
import { isLive } from './ownership.ts';
import {
  converge,
  died,
  diedWhileProbed,
  drains,
  engineDown,
  provisioningFaults,
  type Rule,
  removeCommand,
  stay,
  stopCommand,
  withBox,
} from './rules.ts';
import { boxNameOf } from '#shared/identity.ts';

/** What nobody asks for any more, or an operator wants gone, goes first; a replacement comes after the fault that it follows. */
const urgentDrains = drainsWhen((context, facts) => !isReplacement(context, facts));

/**
 * The life of a box. Pure: one event carries all facts, one action carries the one command; no clock, no I/O, no actors.
 *
 * INVARIANTS
 * - Every state ends with an explicit default, so every combination of facts is handled.
 * - A command is planned only together with the state that waits for its effect.
 * - `reaping` leaves only when the container that it drains is gone: a drain is never undone.
 * - `failed` leaves by itself: by its time, a new generation, a wish, or because nobody asks any more.
 */
export const boxMachine = setup({
  types: {
    context: {} as BoxContext,
    events: {} as { type: 'OBSERVED'; facts: Facts },
  },
  actions: {
    /** What to do is the data of this action; who calls `transition()` does it. */
    plan: (_args, _params: { command: Command; rule: string }) => {},
    remember: assign((_args, changes: Partial<BoxContext>) => changes),
  },
}).createMachine({
  id: 'box',
  context: freshContext,
  initial: 'absent',
  states: {
    absent: observed([engineDown, ...drains, ...converge, stay]),
    provisioning: {
      initial: 'creating',
      states: {
        pulling: observed([engineDown, ...urgentDrains, ...provisioningFaults, ...drains, ...converge, stay]),
        creating: observed([engineDown, ...urgentDrains, ...provisioningFaults, ...drains, ...converge, stay]),
        starting: observed([engineDown, ...urgentDrains, ...provisioningFaults, ...drains, ...converge, stay]),
        probing: observed([
          engineDown,
          ...urgentDrains,
          ...provisioningFaults,
          ...drains,
          diedWhileProbed,
          ...converge,
          stay,
        ]),
      },
    },
    ready: {
      initial: 'active',
      states: {
        active: observed([engineDown, ...readyRules(), stay]),
        idle: observed([engineDown, ...readyRules(), stay]),
      },
    },
    reaping: {
      initial: 'stopping',
      states: {
        stopping: observed([engineDown, ...reapingRules(), stay]),
        removing: observed([engineDown, ...reapingRules(), stay]),
      },
    },
    failed: observed([
      engineDown,
      ...drainsWhen((context, facts) => !isReplacement(context, facts) || !isWaiting(context, facts)),
      {
        name: 'nothing is there and nobody asks any more',
        when: (_context, facts) => facts.ownership.box === null && !facts.hasLease,
        to: 'absent',
        context: (context) => ({ ...freshContext, lastReap: context.lastReap }),
      },
      {
        name: 'it is not time to try again',
        when: isWaiting,
      },
      ...converge,
      stay,
    ]),
  },
});

function drainsWhen(may: Rule['when']): readonly Rule[] {
  return drains.map((rule) => ({
    ...rule,
    when: (context, facts) => may(context, facts) && rule.when(context, facts),
  }));
}

function readyRules(): readonly Rule[] {
  return [
    ...urgentDrains,
    {
      // How it ended is remembered, and counts, also where it is to be replaced then.
      name: 'the container is gone or ended under its holders',
      when: (_context, facts) => facts.hasLease && !isLiveContainer(facts.ownership.box),
      to: 'failed',
      context: died,
    },
    ...drains,
    {
      name: 'the container is gone, and nobody needs it',
      when: (_context, facts) => facts.ownership.box === null,
      to: 'absent',
      context: (context) => ({ ...freshContext, lastReap: context.lastReap }),
    },
    {
      name: 'somebody paused the box',
      when: (_context, facts) => facts.ownership.box?.state === 'paused',
      to: 'failed',
      context: (context, facts) => ({
        ...outsideFailure(context, facts, 'ContainerPaused', 'the container was paused by hand; a lease unpauses it'),
        retryAt: facts.hasLease ? facts.now : outsideFailure(context, facts, 'ContainerPaused', '').retryAt,
      }),
    },
    {
      name: 'the engine is restarting the box: wait',
      when: (_context, facts) => facts.ownership.box?.state === 'restarting',
      to: 'provisioning.starting',
      context: () => ({ readyAt: null }),
    },
    {
      name: 'another container was chosen as the box: probe it',
      when: (context, facts) => facts.ownership.box?.id !== context.probedId,
      to: 'provisioning.probing',
      context: () => ({ readyAt: null }),
      command: (_context, facts) => withBox(facts, (box) => ({ type: 'probe', id: box.id })),
    },
    {
      name: 'putting things straight beside the box failed: wait',
      when: (_context, facts) => realFault(facts, 'beside') !== null,
      context: (context, facts) => ({ ...faultFailure(context, facts), readyAt: context.readyAt }),
    },
    {
      name: 'a second container of ours, or an adopted one, is in the way: stop it',
      when: (context, facts) => facts.now >= context.retryAt && isLiveContainer(inTheWay(facts)),
      command: (_context, facts) => stopCommand(inTheWay(facts), causeInTheWay(facts), facts),
    },
    {
      name: 'a second container of ours, or an adopted one, is in the way: remove it',
      when: (context, facts) => facts.now >= context.retryAt && inTheWay(facts) !== null,
      command: (_context, facts) => removeCommand(inTheWay(facts), causeInTheWay(facts)),
    },
    {
      name: 'the box was renamed by hand: give it its name back',
      when: (context, facts) => facts.now >= context.retryAt && facts.ownership.misnamed,
      command: (_context, facts) =>
        withBox(facts, (box) => ({ type: 'rename', id: box.id, name: boxNameOf(facts.user) })),
    },
    { name: 'somebody holds it', when: (_context, facts) => facts.hasLease, to: 'ready.active' },
    { name: 'nobody holds it', when: () => true, to: 'ready.idle' },
  ];
}

function reapingRules(): readonly Rule[] {
  return [
    {
      name: 'what was drained is gone',
      when: (context, facts) => drained(context, facts) === null,
      to: 'absent',
      context: (context, facts) => ({
        ...freshContext,
        attempts: facts.hasLease ? context.attempts : 0,
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
}

/** What `describe` says of the last reap. */
const reapMessages = {
  idle: 'nobody needed the box any more',
  reap: 'an operator reaped it',
  recreate: 'an operator had it made anew',
  deleted: 'it was deleted',
  adopt: 'a container that was not ours was replaced on request',
  stopped: 'it did not run any more',
  duplicate: 'it was a second container of one user',
} as const;

/** The box does not run, and somebody waits for another in its place. */
function isReplacement(context: BoxContext, facts: Facts): boolean {
  return facts.hasLease && drainOf(context, facts) === 'stopped';
}

function isWaiting(context: BoxContext, facts: Facts): boolean {
  const isNewer = (facts.desired?.generation ?? 0) > context.failedGeneration;
  return facts.now < context.retryAt && !isNewer && !isHealed(context, facts);
}

/** What was outside our hands was put right: no reason to wait for the time. */
function isHealed(context: BoxContext, facts: Facts): boolean {
  switch (context.reason) {
    case 'ForeignContainer':
      return facts.ownership.foreign === null || adoptable(facts) !== null;
    case 'ContainerPaused':
      return facts.ownership.box?.state !== 'paused' || facts.hasLease;
    case 'ClassUnknown':
      return facts.boxClass !== null;
    case 'PullFailed':
      return facts.image.state === 'present';
    case 'ImageMissing':
      return facts.image.state !== 'forbidden';
    default:
      return false;
  }
}

function drained(context: BoxContext, facts: Facts): ContainerView | null {
  const { box, extras, foreign } = facts.ownership;
  return [box, ...extras, foreign].find((container) => container?.id === context.drainId) ?? null;
}

function inTheWay(facts: Facts): ContainerView | null {
  return facts.ownership.extras[0] ?? adoptable(facts);
}

function causeInTheWay(facts: Facts): 'duplicate' | 'adopt' {
  return facts.ownership.extras.length > 0 ? 'duplicate' : 'adopt';
}

function isLiveContainer(container: ContainerView | null): boolean {
  return container !== null && isLive(container);
}

/** Rules as xstate transitions: the first whose guard holds is taken; grants of time happen on every edge. */
function observed(rules: readonly Rule[]) {
  return {
    on: {
      OBSERVED: rules.map((rule) => ({
        description: rule.name,
        guard: ({ context, event }: Given) => rule.when(context, event.facts),
        ...(rule.to === undefined ? {} : { target: `#box.${rule.to}` }),
        actions: [
          {
            type: 'plan' as const,
            params: ({ context, event }: Given) => ({
              command: rule.command?.(context, event.facts) ?? noCommand,
              rule: rule.name,
            }),
          },
          {
            type: 'remember' as const,
            params: ({ context, event }: Given) => ({
              ...keepOf(context, event.facts),
              ...rule.context?.(context, event.facts),
            }),
          },
        ],
      })),
    },
  };
}

interface Given {
  context: BoxContext;
  event: { type: 'OBSERVED'; facts: Facts };
}
