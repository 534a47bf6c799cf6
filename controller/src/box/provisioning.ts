import { admissions, admitted, isCrowdedOut } from './admitting.ts';
import { adoptions, foreignMessage } from './adopting.ts';
import { noCommand } from './command.ts';
import { type BoxContext, freshContext } from './context.ts';
import { removeCommand } from './draining.ts';
import type { Facts } from './facts.ts';
import { died, failure, faultFailure, outsideFailure, pausedFailure, realFault } from './failing.ts';
import { drained } from './modes.ts';
import type { ContainerView } from './observed.ts';
import { type Rule, withBox } from './rules.ts';
import { isVaultUntried, writeCommand } from './vault.ts';

/** How a box comes to be: from whatever is there to one that can be used. */

/** A create that answered 409 while nothing can be inspected yet is asked for again this often, 250 ms apart. */
const creationsSeenMax = 40;

/** What a fault of the last command means while a box is being made. */
export const provisioningFaults: readonly Rule[] = [
  {
    name: 'a creation is in progress elsewhere: look again',
    when: (context, facts) =>
      facts.last?.command === 'create' &&
      facts.last.fault?.kind === 'conflict' &&
      facts.ownership.box === null &&
      facts.ownership.foreign === null &&
      context.creationsSeen < creationsSeenMax,
    to: 'provisioning.creating',
    context: (context) => ({ creationsSeen: context.creationsSeen + 1 }),
  },
  {
    name: 'the container vanished, which is forgiven once',
    when: (context, facts) => hasVanished(facts) && !context.vanished,
    to: 'absent',
    context: (context, facts) => ({ vanished: true, place: facts.hasLease ? context.place : null }),
  },
  {
    name: 'the container vanished again',
    when: (_context, facts) => hasVanished(facts),
    to: 'failed',
    context: died,
  },
  {
    name: 'the last command failed',
    when: (_context, facts) => realFault(facts, 'making') !== null,
    to: 'failed',
    context: faultFailure,
  },
  {
    name: 'the container ended as soon as it was started',
    when: (_context, facts) => {
      const { box } = facts.ownership;
      return facts.last?.command === 'start' && box !== null && facts.last.containerId === box.id && isEnded(box);
    },
    to: 'failed',
    context: died,
  },
];

export const diedWhileProbed: Rule = {
  name: 'the container ended before it was ready',
  when: (_context, facts) => facts.ownership.box !== null && isEnded(facts.ownership.box) && facts.hasLease,
  to: 'failed',
  context: died,
};

/** What to do with what is there. */
const converging: readonly Rule[] = [
  {
    name: 'the box is being removed by somebody: wait for it',
    when: (_context, facts) => facts.ownership.box?.state === 'removing' || facts.ownership.box?.state === 'dead',
    to: 'reaping.removing',
    context: (_context, facts) => ({ drainId: facts.ownership.box?.id ?? '', drainCause: 'stopped' }),
    command: (_context, facts) => removeCommand(facts.ownership.box, 'stopped'),
  },
  {
    name: 'it runs and passed its probe: write the vault into its home',
    when: (context, facts) => runsProbed(context, facts) && isVaultUntried(context, facts),
    to: 'provisioning.probing',
    context: (_context, facts) => ({ probedId: facts.ownership.box?.id ?? '' }),
    command: writeCommand,
  },
  {
    name: 'it runs and passed its probe, with a holder: ready',
    when: (context, facts) => runsProbed(context, facts) && facts.hasLease,
    to: 'ready.active',
    context: becomeReady,
  },
  {
    name: 'it runs and passed its probe: ready, idle',
    when: runsProbed,
    to: 'ready.idle',
    context: becomeReady,
  },
  {
    name: 'it runs: probe it',
    when: (_context, facts) => facts.ownership.box?.state === 'running',
    to: 'provisioning.probing',
    command: (_context, facts) => withBox(facts, (box) => ({ type: 'probe', id: box.id })),
  },
  {
    name: 'it is paused and somebody needs it: unpause it',
    when: (_context, facts) => facts.ownership.box?.state === 'paused' && facts.hasLease,
    to: 'provisioning.starting',
    command: (_context, facts) => withBox(facts, (box) => ({ type: 'unpause', id: box.id, cause: null })),
  },
  {
    name: 'somebody paused it and nobody needs it: leave it',
    when: (_context, facts) => facts.ownership.box?.state === 'paused',
    to: 'failed',
    context: pausedFailure,
  },
  {
    name: 'the engine is restarting it: wait',
    when: (_context, facts) => facts.ownership.box?.state === 'restarting',
    to: 'provisioning.starting',
  },
  {
    name: 'it does not run, and others have all places: remove it, and wait in line',
    when: (context, facts) => facts.ownership.box !== null && isCrowdedOut(context, facts),
    to: 'reaping.removing',
    context: (_context, facts) => ({ drainId: facts.ownership.box?.id ?? '', drainCause: 'stopped' }),
    command: (_context, facts) => removeCommand(facts.ownership.box, 'stopped'),
  },
  ...admitted([
    {
      name: 'it does not run and somebody needs it: start it',
      when: (_context, facts) => facts.ownership.box !== null,
      to: 'provisioning.starting',
      command: (_context, facts) => withBox(facts, (box) => ({ type: 'start', id: box.id })),
    },
  ]),
  ...adoptions,
  {
    name: 'a container that is not ours has the name',
    when: (_context, facts) => facts.ownership.foreign !== null && facts.hasLease,
    to: 'failed',
    context: (context, facts) => outsideFailure(context, facts, 'ForeignContainer', foreignMessage(facts)),
  },
];

/** Nothing is there, and nobody asks. */
const unasked: readonly Rule[] = [
  {
    name: 'deleted, and nothing of ours is left: forget the user',
    when: (_context, facts) => !facts.hasLease && facts.desired?.deletedAt !== undefined,
    to: 'absent',
    context: () => ({ place: null }),
    command: () => ({ type: 'forget' }),
  },
  {
    name: 'nobody asks for a box',
    when: (_context, facts) => !facts.hasLease,
    to: 'absent',
    context: (context) => ({ ...freshContext, lastReap: context.lastReap }),
  },
];

/** Somebody was let in. The last of these is the default of its state. */
const building: readonly Rule[] = [
  {
    name: 'its class is not configured',
    when: (_context, facts) => facts.boxClass === null,
    to: 'failed',
    context: (context, facts) =>
      outsideFailure(context, facts, 'ClassUnknown', `no class "${facts.desired?.class ?? ''}" is configured`),
  },
  {
    name: 'the image is absent and must not be pulled',
    when: (_context, facts) => facts.image.state === 'forbidden',
    to: 'failed',
    context: (context, facts) =>
      outsideFailure(
        context,
        facts,
        'ImageMissing',
        `image ${facts.boxClass?.image ?? ''} is absent and pullPolicy is Never`,
      ),
  },
  {
    name: 'the image is being pulled',
    when: (_context, facts) => facts.image.state === 'pulling' || facts.image.state === 'unknown',
    to: 'provisioning.pulling',
  },
  {
    name: 'an image was pulled that is not there',
    when: (_context, facts) =>
      facts.image.state === 'wanted' && facts.last?.command === 'pull' && facts.last.fault === null,
    to: 'failed',
    context: (context, facts) =>
      failure(context, facts, 'PullFailed', `image ${facts.boxClass?.image ?? ''} was pulled, but is not there`),
  },
  {
    name: 'the image is absent: pull it',
    when: (_context, facts) => facts.image.state === 'wanted',
    to: 'provisioning.pulling',
    command: (_context, facts) => ({ type: 'pull', image: facts.boxClass?.image ?? '' }),
  },
  {
    name: 'what lies in place of the home cannot be mounted',
    when: (_context, facts) => facts.home.state === 'unusable',
    to: 'failed',
    context: (context, facts) =>
      failure(context, facts, 'HomeFailed', facts.home.state === 'unusable' ? facts.home.message : ''),
  },
  {
    name: 'a home was made that cannot be seen from here',
    when: (_context, facts) => facts.home.state === 'absent' && facts.last?.command === 'ensure-home',
    to: 'failed',
    context: (context, facts) =>
      failure(
        context,
        facts,
        'HomeFailed',
        'the home was made by the engine, but is not in the work directory of this process: SPOON_AGENT_HOST_WORKDIR must be SPOON_AGENT_WORKDIR as the engine sees it',
      ),
  },
  {
    name: 'a home was given to its user, and is still not theirs',
    when: (_context, facts) => facts.home.state === 'not-given' && facts.last?.command === 'ensure-home',
    to: 'failed',
    context: (context, facts) =>
      failure(context, facts, 'HomeFailed', "the home is root's and stays so: does its file system allow chown?"),
  },
  {
    name: "there is no home yet, or it is root's: make it the user's",
    when: (_context, facts) => facts.home.state === 'absent' || facts.home.state === 'not-given',
    to: 'provisioning.creating',
    command: (_context, facts) =>
      facts.spec === null
        ? noCommand
        : { type: 'ensure-home', uid: facts.spec.uid, gid: facts.spec.gid, image: facts.spec.imageId },
  },
  {
    name: 'there is no container: create it',
    when: () => true,
    to: 'provisioning.creating',
    command: (_context, facts) =>
      facts.spec === null
        ? noCommand
        : { type: 'create', generation: facts.desired?.generation ?? 0, spec: facts.spec },
  },
];

/** Nothing is there, and somebody asks. */
const making: readonly Rule[] = [drained, ...admissions, ...admitted(building)];

/** From whatever is there, the next step to a box that can be used; or to none, where nobody asks for one. */
export const converge: readonly Rule[] = [...converging, ...unasked, ...making];

/** The same, where it was asked before whether anybody asks. */
export const convergeAsked: readonly Rule[] = [...converging, ...making];

function isEnded(container: ContainerView): boolean {
  return container.state === 'exited' || container.state === 'dead';
}

/** The container of the last command is gone, and nobody here removed it. */
function hasVanished(facts: Facts): boolean {
  const { last, ownership } = facts;
  if (last === null || last.containerId === '' || ownership.box !== null) return false;
  if (last.command === 'stop' || last.command === 'remove') return false;
  return last.fault === null || last.fault.kind === 'not-found';
}

function runsProbed(context: BoxContext, facts: Facts): boolean {
  const { box } = facts.ownership;
  return box?.state === 'running' && (context.probedId === box.id || probedNow(facts, box.id));
}

function probedNow(facts: Facts, id: string): boolean {
  return facts.last?.command === 'probe' && facts.last.containerId === id && facts.last.fault === null;
}

function becomeReady(context: BoxContext, facts: Facts): Partial<BoxContext> {
  const readyAt = context.readyAt ?? facts.now;
  return {
    readyAt,
    probedId: facts.ownership.box?.id ?? '',
    creationsSeen: 0,
    vanished: false,
    retryAt: 0,
    reason: null,
    message: '',
  };
}
