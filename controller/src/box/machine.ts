import { assign, setup } from 'xstate';
import { placeOf, placeOfFailed } from './admitting.ts';
import { adoptable } from './adopting.ts';
import { type Command, noCommand } from './command.ts';
import { type BoxContext, freshContext } from './context.ts';
import { drains, drainsWhen, isReplacement, reapingRules, urgentDrains } from './draining.ts';
import type { Facts } from './facts.ts';
import { keepOf } from './holding.ts';
import { paused } from './modes.ts';
import { converge, convergeAsked, diedWhileProbed, provisioningFaults } from './provisioning.ts';
import { readyRules } from './ready.ts';
import { engineDown, isLiveContainer, type Rule } from './rules.ts';
import { vaultOf } from './vault.ts';

/** First in every state: an operator's pause, then an engine of which nothing is known. */
const untouched = [paused, engineDown];

/**
 * The life of a box. Pure: one event carries all facts, one action carries the one command; no clock, no I/O, no actors.
 *
 * INVARIANTS
 * - The last rule of every state is its default, so every combination of facts is handled.
 * - A command is planned only together with the state that waits for its effect.
 * - While an operator pauses the reconciler, no state changes and nothing is commanded.
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
    absent: observed([...untouched, ...drains, ...converge]),
    provisioning: {
      initial: 'creating',
      states: {
        pulling: observed([...untouched, ...urgentDrains, ...provisioningFaults, ...drains, ...converge]),
        creating: observed([...untouched, ...urgentDrains, ...provisioningFaults, ...drains, ...converge]),
        starting: observed([...untouched, ...urgentDrains, ...provisioningFaults, ...drains, ...converge]),
        probing: observed([
          ...untouched,
          ...urgentDrains,
          ...provisioningFaults,
          ...drains,
          diedWhileProbed,
          ...converge,
        ]),
      },
    },
    ready: {
      initial: 'active',
      states: {
        active: observed([...untouched, ...readyRules]),
        idle: observed([...untouched, ...readyRules]),
      },
    },
    reaping: {
      initial: 'stopping',
      states: {
        stopping: observed([...untouched, ...reapingRules]),
        removing: observed([...untouched, ...reapingRules]),
      },
    },
    failed: observed([
      ...untouched,
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
        context: (_context, facts) => (isLiveContainer(facts.ownership.box) ? {} : { place: null }),
      },
      ...convergeAsked,
    ]),
  },
});

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
    case 'OverBudget':
      return facts.admission.state !== 'over-budget';
    case 'ImageMissing':
      return facts.image.state !== 'forbidden';
    default:
      return false;
  }
}

/** Rules as xstate transitions: the first whose guard holds is taken; grants of time, places of what is there, and what came of the vault, on every edge. */
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
            params: ({ context, event: { facts } }: Given) => {
              const after = {
                ...context,
                ...keepOf(context, facts),
                vault: vaultOf(context, facts),
                place: placeOf(context, facts),
                ...rule.context?.(context, facts),
              };
              return rule.to === 'failed' ? { ...after, place: placeOfFailed(after, facts) } : after;
            },
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
