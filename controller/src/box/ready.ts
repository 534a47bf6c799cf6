import { adoptable } from './adopting.ts';
import { freshContext } from './context.ts';
import { removeCommand, stopCommand, urgentDrains } from './draining.ts';
import type { Facts } from './facts.ts';
import { died, faultFailure, pausedFailure, realFault } from './failing.ts';
import type { ContainerView } from './observed.ts';
import { isLiveContainer, type Rule, withBox } from './rules.ts';
import { vaultChanged } from './vault.ts';
import { boxNameOf } from '#shared/identity.ts';

/** What may happen to a box that is ready. */
export const readyRules: readonly Rule[] = [
  ...urgentDrains,
  {
    // How it ended is remembered, and counts, also where it is to be replaced then.
    name: 'the container is gone or ended under its holders',
    when: (_context, facts) => facts.hasLease && !isLiveContainer(facts.ownership.box),
    to: 'failed',
    context: died,
  },
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
    context: pausedFailure,
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
  vaultChanged,
  { name: 'somebody holds it', when: (_context, facts) => facts.hasLease, to: 'ready.active' },
  { name: 'nobody holds it', when: () => true, to: 'ready.idle' },
];

function inTheWay(facts: Facts): ContainerView | null {
  return facts.ownership.extras[0] ?? adoptable(facts);
}

function causeInTheWay(facts: Facts): 'duplicate' | 'adopt' {
  return facts.ownership.extras.length > 0 ? 'duplicate' : 'adopt';
}
