import { type FaultKind, isAct, type PlannedFault } from './fault-plan.ts';
import { onContainer } from './inject-container.ts';
import { onEngine } from './inject-engine.ts';
import { onImage } from './inject-image.ts';
import { onProcess } from './inject-process.ts';
import { onRedis } from './inject-redis.ts';
import { noOddities } from './oddities.ts';
import { chosen, type Injector, only, type Strike, type Struck, vanish } from './strike.ts';
import { calmServices, foreignImage, type World } from './world.ts';

/** A kind without an injector does not compile. */
const injectors: Readonly<Record<FaultKind, Injector>> = {
  ...onRedis,
  ...onEngine,
  ...onProcess,
  ...onImage,
  ...onContainer,
};

/** Does a fault, and undoes it after its time. */
export function inject(given: Pick<Strike, 'world' | 'actors' | 'copies'>, fault: PlannedFault): Struck {
  const { world, actors } = given;
  const { kind, which, forMs } = fault;
  const user = chosen(world.users, which);
  if (isAct(kind)) return only(user, actors.ask(user, kind, forMs));
  return injectors[kind]({
    ...given,
    fault,
    user,
    controller: chosen(world.controllers, which),
    gateway: chosen(world.gateways, which),
    forS: `for ${forMs / 1_000} s`,
  });
}

/** Ends every fault that lasts, and what nobody but a person can put right. */
export async function calm(world: World): Promise<void> {
  Object.assign(world.shared, calmServices);
  Object.assign(world.odd, noOddities);
  world.restoreImage();
  for (const member of world.members()) {
    Object.assign(member.conditions, { redisLoss: 0, engineLoss: 0, engineErrors: 0, cutFromRedis: false });
    if (member.kind !== 'api' && !member.process.isAlive()) await world.start(member);
    member.redis.reconnected();
  }
  const { engine } = world.runtime;
  for (const container of [...engine.containers.values()]) {
    if (container.blueprint.installation === world.installation && container.blueprint.imageId !== foreignImage)
      continue;
    vanish(world, container);
  }
}
