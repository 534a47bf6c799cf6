import type { UserName } from '#shared/identity.ts';
import type { SimContainer } from '../support/sim-engine.ts';
import type { Actors } from './actors.ts';
import type { PlannedFault } from './fault-plan.ts';
import type { Oddities } from './oddities.ts';
import type { RedisCopies } from './redis-copies.ts';
import type { Conditions, Member, World } from './world.ts';

/** A fault at its moment: what it happens to, and for how long. */
export interface Strike {
  readonly world: World;
  readonly actors: Actors;
  readonly copies: RedisCopies;
  readonly fault: PlannedFault;
  readonly user: UserName;
  readonly controller: Member;
  readonly gateway: Member;
  /** `for 3 s` */
  readonly forS: string;
}

/** What happened, as a sentence, and to whom; undone after its time by itself. */
export interface Struck {
  readonly told: string;
  /** null = it concerns everybody */
  readonly user: UserName | null;
  /** false = there was nothing to strike */
  readonly didHappen: boolean;
}

export type Injector = (strike: Strike) => Struck;

export function everybody(told: string): Struck {
  return { told, user: null, didHappen: true };
}

export function only(user: UserName, told: string): Struck {
  return { told, user, didHappen: true };
}

export function nothing(told: string): Struck {
  return { told, user: null, didHappen: false };
}

export function chosen<Value>(values: readonly Value[], which: number): Value {
  const value = values[Math.floor(which * values.length)];
  if (value === undefined) throw new Error('nothing to choose from');
  return value;
}

type Share = 'redisLoss' | 'engineLoss' | 'engineErrors';

/** Turned for every process, and turned back. */
export function turned({ world, fault }: Strike, what: Share, to: number, told: string): Struck {
  const members: { conditions: Conditions }[] = [...world.controllers, ...world.gateways, world.api];
  for (const { conditions } of members) conditions[what] = to;
  world.scheduler.after(fault.forMs, () => {
    for (const { conditions } of members) conditions[what] = 0;
  });
  return everybody(`${told} (${Math.round(to * 100)} %)`);
}

/** Turned for the services, and turned back. */
export function shared<What extends keyof World['shared']>(
  { world, fault }: Strike,
  what: What,
  to: World['shared'][What],
  back: World['shared'][What],
  told: string,
): Struck {
  world.shared[what] = to;
  world.scheduler.after(fault.forMs, () => {
    world.shared[what] = back;
  });
  return everybody(told);
}

export function odd({ world, fault }: Strike, what: keyof Oddities, told: string): Struck {
  world.odd[what] = true;
  world.scheduler.after(fault.forMs, () => {
    world.odd[what] = false;
  });
  return everybody(told);
}

/** A container is gone at once, whatever it was doing. */
export function vanish({ runtime: { engine } }: World, container: SimContainer): void {
  if (!engine.containers.has(container.id)) return;
  engine.kill(container);
  // What is being restarted or removed would refuse.
  if (container.state !== 'exited') engine.becomes(container, 'exited');
  engine.remove('by-hand', container.id);
}
