import type { DrainCause } from '#shared/status.ts';
import { type Command, noCommand } from './command.ts';
import { type BoxContext, freshContext } from './context.ts';
import type { Facts } from './facts.ts';
import { failure, faultFailure, outsideFailure, realFault } from './failing.ts';
import { adoptable, consentedForeign, drainOf } from './holding.ts';
import type { ContainerView } from './observed.ts';
import { isLive } from './ownership.ts';

/** The states of the machine that a rule may lead to. */
export type Target =
  | 'absent'
  | 'provisioning.pulling'
  | 'provisioning.creating'
  | 'provisioning.starting'
  | 'provisioning.probing'
  | 'ready.active'
  | 'ready.idle'
  | 'reaping.stopping'
  | 'reaping.removing'
  | 'failed';

/** One edge: the first rule of a state whose `when` holds is taken. No `to` = stay. */
export interface Rule {
  /** a sentence; shown by the console beside the edge */
  readonly name: string;
  readonly when: (context: BoxContext, facts: Facts) => boolean;
  readonly to?: Target;
  readonly context?: (context: BoxContext, facts: Facts) => Partial<BoxContext>;
  readonly command?: (context: BoxContext, facts: Facts) => Command;
}

/** A create that answered 409 while nothing can be inspected yet is asked for again this often, 250 ms apart. */
const creationsSeenMax = 40;
const defaultGraceMs = 10_000;
/** What an init, like a shell, ends with when there is no such program. */
const notFoundCode = 127;

export const engineDown: Rule = {
  name: 'the engine does not answer: nothing is known, nothing is concluded',
  when: (_context, facts) => facts.engineDown !== null,
};

export const stay: Rule = { name: 'nothing to do', when: () => true };

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
    context: () => ({ vanished: true }),
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

/** The user's own box has to go. A drain that has begun is never undone. */
export const drains: readonly Rule[] = [
  {
    name: 'nobody needs the box, or an operator wants it gone: stop it',
    when: (context, facts) => drainOf(context, facts) !== null && isLiveBox(facts),
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

/** From whatever is there, the next step to a box that can be used; or to none, where nobody asks for one. */
export const converge: readonly Rule[] = [
  {
    name: 'the box is being removed by somebody: wait for it',
    when: (_context, facts) => facts.ownership.box?.state === 'removing' || facts.ownership.box?.state === 'dead',
    to: 'reaping.removing',
    context: (_context, facts) => ({ drainId: facts.ownership.box?.id ?? '', drainCause: 'stopped' }),
    command: (_context, facts) => removeCommand(facts.ownership.box, 'stopped'),
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
    context: (context, facts) =>
      outsideFailure(context, facts, 'ContainerPaused', 'the container was paused by hand; a lease unpauses it'),
  },
  {
    name: 'the engine is restarting it: wait',
    when: (_context, facts) => facts.ownership.box?.state === 'restarting',
    to: 'provisioning.starting',
  },
  {
    name: 'it does not run and somebody needs it: start it',
    when: (_context, facts) => facts.ownership.box !== null,
    to: 'provisioning.starting',
    command: (_context, facts) => withBox(facts, (box) => ({ type: 'start', id: box.id })),
  },
  {
    name: 'an operator consented to replace the foreign container: stop it',
    when: (_context, facts) => isLive0(adoptable(facts)),
    to: 'reaping.stopping',
    context: beginAdopt,
    command: (_context, facts) => stopCommand(adoptable(facts), 'adopt', facts),
  },
  {
    name: 'an operator consented to replace the foreign container: remove it',
    when: (_context, facts) => adoptable(facts) !== null,
    to: 'reaping.removing',
    context: beginAdopt,
    command: (_context, facts) => removeCommand(adoptable(facts), 'adopt'),
  },
  {
    name: 'a container that is not ours has the name',
    when: (_context, facts) => facts.ownership.foreign !== null && facts.hasLease,
    to: 'failed',
    context: (context, facts) => outsideFailure(context, facts, 'ForeignContainer', foreignMessage(facts)),
  },
  {
    name: 'deleted, and nothing of ours is left: forget the user',
    when: (_context, facts) => !facts.hasLease && facts.desired?.deletedAt !== undefined,
    to: 'absent',
    command: () => ({ type: 'forget' }),
  },
  {
    name: 'nobody asks for a box',
    when: (_context, facts) => !facts.hasLease,
    to: 'absent',
    context: (context) => ({ ...freshContext, lastReap: context.lastReap }),
  },
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
    when: (_context, facts) => facts.spec !== null,
    to: 'provisioning.creating',
    command: (_context, facts) =>
      facts.spec === null
        ? noCommand
        : { type: 'create', generation: facts.desired?.generation ?? 0, spec: facts.spec },
  },
];

export function withBox(facts: Facts, make: (box: ContainerView) => Command): Command {
  return facts.ownership.box === null ? noCommand : make(facts.ownership.box);
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

export function died(context: BoxContext, facts: Facts): Partial<BoxContext> {
  const { box } = facts.ownership;
  if (box === null)
    return failure(context, facts, 'ContainerGone', 'the container is gone; it was not removed by Spoonbox');
  if (box.oomKilled) return failure(context, facts, 'OutOfMemory', 'the box ran out of memory and was killed');
  const code = box.exitCode === null ? '' : ` with exit code ${box.exitCode}`;
  const program = facts.boxClass?.command[0] ?? '';
  // The init of a box answers so; without one the engine refuses the start.
  const hint = box.exitCode === notFoundCode ? `, as it does when its image has no ${program}` : '';
  return failure(context, facts, 'ContainerDied', `the container ended${code}${hint}`);
}

export function foreignMessage(facts: Facts): string {
  const { foreign } = facts.ownership;
  if (foreign === null) return '';
  const what = `container ${foreign.name} (${foreign.id.slice(0, 12)}) was not made by this installation`;
  if (consentedForeign(facts) !== null) return `${what}; it is replaced once no command runs in it`;
  return `${what} and is not touched; remove or rename it, or allow its replacement with the action adopt`;
}

function isEnded(container: ContainerView): boolean {
  return container.state === 'exited' || container.state === 'dead';
}

function isLiveBox(facts: Facts): boolean {
  return isLive0(facts.ownership.box);
}

function isLive0(container: ContainerView | null): boolean {
  return container !== null && isLive(container);
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

function beginDrain(context: BoxContext, facts: Facts): Partial<BoxContext> {
  return { drainId: facts.ownership.box?.id ?? '', drainCause: drainOf(context, facts), retryAt: 0, readyAt: null };
}

function beginAdopt(_context: BoxContext, facts: Facts): Partial<BoxContext> {
  return { drainId: facts.ownership.foreign?.id ?? '', drainCause: 'adopt', retryAt: 0 };
}
