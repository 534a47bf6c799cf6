import type { Command } from '../../controller/src/box/command.ts';
import type { BoxContext } from '../../controller/src/box/context.ts';
import type { Facts } from '../../controller/src/box/facts.ts';
import { isLive } from '../../controller/src/box/ownership.ts';
import type { StateValue } from '../../controller/src/box/snapshot.ts';

/** What a pass stands on. */
export interface Given {
  readonly value: StateValue;
  readonly context: BoxContext;
  readonly facts: Facts;
}

/**
 * Whether the commit would permit this drain in a Redis that holds what the facts say: the same questions as the commit
 * script asks, and one that only the model can ask, whether "it does not run" and "it is a second one" are true at all.
 */
export function isPermitted({ value, context, facts }: Given, command: Command): boolean {
  if (!('cause' in command) || command.cause === null) return true;
  if (typeof value === 'object' && 'reaping' in value && context.drainId === command.id) return true; // begun before
  const { ownership, desired } = facts;
  const { box, extras, foreign } = ownership;
  const container = [box, ...extras, foreign].find((candidate) => candidate?.id === command.id);
  if (container === undefined || container === null) return false;
  switch (command.cause) {
    case 'idle':
      return facts.now >= Math.max(facts.wantedUntil, context.keepUntil);
    case 'gave-way': {
      const { givesWayAt, hasLease, now } = facts;
      return !hasLease && givesWayAt !== null && now >= Math.max(givesWayAt, context.keepUntil);
    }
    case 'reap':
    case 'deleted':
      return container.generation < (desired?.reapGeneration ?? 0);
    case 'recreate':
      return container.generation < (desired?.recreateGeneration ?? 0);
    case 'adopt':
      return desired?.adoptContainerId === command.id;
    case 'stopped':
      return !isLive(container);
    case 'rollout':
      return (
        !facts.hasLease &&
        desired !== null &&
        !facts.rollout.paused &&
        !facts.sessionsIn.includes(command.id) &&
        facts.now >= Math.max(facts.keptUntil, context.keepUntil)
      );
    case 'duplicate':
      return extras.some((extra) => extra.id === command.id);
  }
}
