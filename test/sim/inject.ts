import { networkNameOf, type UserName } from '#shared/identity.ts';
import type { SimContainer } from '../support/sim-engine.ts';
import type { PlannedFault } from './fault-plan.ts';
import { noOddities, type Oddities } from './oddities.ts';
import { type Conditions, foreignImage, type Member, type World } from './world.ts';

type SavedRedis = ReturnType<World['redis']['copy']>;

/** Copies of Redis as they were: what a restart or a restore may come back with. */
export class RedisCopies {
  private readonly copies = new Map<number, SavedRedis>();
  private readonly empty: SavedRedis;

  constructor(world: World, faults: readonly PlannedFault[]) {
    this.empty = world.redis.copy();
    for (const fault of faults) {
      const { kind, at, which } = fault;
      if (kind !== 'redis-lost-a-second' && kind !== 'redis-restored') continue;
      // An append-only file is synced every second; a backup may be of any time before.
      const ofTime = kind === 'redis-restored' ? which * at : Math.floor(at / 1_000) * 1_000;
      world.scheduler.after(ofTime, () => this.copies.set(fault.index, world.redis.copy()));
    }
  }

  of(fault: PlannedFault): SavedRedis {
    return this.copies.get(fault.index) ?? this.empty;
  }
}

/** Does a fault, and undoes it after its time. Returns what happened, as a sentence. */
export function inject(world: World, copies: RedisCopies, fault: PlannedFault): string {
  const { forMs, which, how } = fault;
  const user = chosen(world.users, which);
  const controller = chosen(world.controllers, which);
  const gateway = chosen(world.gateways, which);
  const forS = `for ${forMs / 1_000} s`;
  switch (fault.kind) {
    case 'redis-flaky':
      return turned(world, 'redisLoss', 0.05 + how * 0.5, forMs, `calls to Redis get lost ${forS}`);
    case 'engine-flaky':
      return turned(world, 'engineLoss', 0.05 + how * 0.5, forMs, `calls to the engine get lost ${forS}`);
    case 'engine-errors':
      return turned(world, 'engineErrors', 0.1 + how * 0.6, forMs, `the engine answers with errors ${forS}`);
    case 'wake-ups-lost':
      return shared(world, 'wakeUpLoss', how, 0, forMs, `wake-ups get lost ${forS}`);
    case 'events-lost':
      return shared(world, 'eventLoss', how, 0, forMs, `engine events get lost, doubled and late ${forS}`);
    case 'kill-controller':
      return killed(world, controller, forMs);
    case 'kill-gateway':
      return killed(world, gateway, forMs);
    case 'stop-controller':
      return stopped(world, controller, forMs);
    case 'pause-controller':
      controller.process.pause(forMs);
      return `${controller.process.name} stands still ${forS}`;
    case 'pause-gateway':
      gateway.process.pause(forMs);
      return `${gateway.process.name} stands still ${forS}`;
    case 'cut-from-redis': {
      const member = chosen([...world.controllers, ...world.gateways, world.api], which);
      member.conditions.cutFromRedis = true;
      world.scheduler.after(forMs, () => {
        member.conditions.cutFromRedis = false;
        member.redis.reconnected();
      });
      return `${member.process.name} is cut from Redis ${forS}`;
    }
    case 'redis-down':
      return redisAway(world, forMs, () => {}, `Redis does not answer ${forS}`);
    case 'redis-lost-a-second':
      return redisAway(
        world,
        how * 2_000,
        () => lost(world, () => world.redis.restart(copies.of(fault))),
        'Redis restarts without its last second',
      );
    case 'redis-restored':
      return redisAway(
        world,
        how * 2_000,
        () => lost(world, () => world.redis.restart(copies.of(fault))),
        'Redis is restored from an old copy',
      );
    case 'redis-flushed':
      lost(world, () => world.redis.flush());
      return 'Redis is emptied';
    case 'clock-jump': {
      const byMs = Math.round((how - 0.5) * 7_200_000);
      world.shared.clockMs += byMs;
      world.watcher.distrusted(byMs < 0 ? 'jumped-back' : 'jumped-ahead', Math.abs(byMs));
      return `Redis' clock jumps by ${Math.round(byMs / 1_000)} s`;
    }
    case 'engine-restart':
      return engineAway(world, how * 10_000, () => endAll(world), 'the engine restarts, and every container ends');
    case 'engine-restart-surviving':
      return engineAway(world, how * 10_000, () => {}, 'the engine restarts, and its containers live on');
    case 'engine-lost-all':
      return engineAway(
        world,
        how * 10_000,
        () => loseAll(world),
        'the engine comes back without any container or network',
      );
    case 'streams-break':
      world.streams.breakAll();
      return 'the event streams break';
    case 'image-gone':
      world.loseImage();
      world.scheduler.after(forMs, () => world.restoreImage());
      return `the image is gone, and the registry does not have it ${forS}`;
    case 'image-changed':
      world.changeImage();
      return 'the tag names another image from now on';
    case 'image-vanishes':
      world.loseImage();
      world.restoreImage();
      return odd(world, 'pullsVanish', forMs, `the image is gone, and vanishes again after every pull ${forS}`);
    case 'class-unknown':
      world.loseClass();
      world.scheduler.after(forMs, () => world.restoreImage());
      return `the class is not configured ${forS}`;
    case 'pull-forbidden':
      world.loseImage();
      world.forbidPulls();
      world.scheduler.after(forMs, () => world.restoreImage());
      return `the image is gone, and the class forbids to pull it ${forS}`;
    case 'starts-die':
      return odd(world, 'startsDie', forMs, `every container ends as soon as it is started ${forS}`);
    case 'probes-fail':
      return odd(world, 'probesFail', forMs, `no box passes its probe ${forS}`);
    case 'homes-hidden':
      return odd(world, 'homesHidden', forMs, `the homes cannot be seen by the controllers ${forS}`);
    case 'chown-fails':
      world.runtime.homes.set(user, 0);
      return odd(world, 'chownFails', forMs, `the home of ${user} is root's, and chown does nothing ${forS}`);
    case 'home-of-root':
      world.runtime.homes.set(user, 0);
      return `the home of ${user} is root's`;
    case 'home-link': {
      const before = world.runtime.homes.get(user) ?? 0;
      world.runtime.homes.set(user, 'link');
      world.scheduler.after(forMs, () => world.runtime.homes.set(user, before === 'link' ? 0 : before));
      return `a link is put in place of the home of ${user} ${forS}`;
    }
    case 'disk-full':
      return shared(world, 'diskFull', true, false, forMs, `the disk is full ${forS}`);
    default:
      return byHand(world, fault, user);
  }
}

/** Ends every fault that lasts, and what nobody but a person can put right. */
export async function calm(world: World): Promise<void> {
  Object.assign(world.shared, { redisDown: false, engineDown: false, diskFull: false, wakeUpLoss: 0, eventLoss: 0 });
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
    engine.kill(container);
    engine.remove('by-hand', container.id);
  }
}

function chosen<Value>(values: readonly Value[], which: number): Value {
  const value = values[Math.floor(which * values.length)];
  if (value === undefined) throw new Error('nothing to choose from');
  return value;
}

type Share = 'redisLoss' | 'engineLoss' | 'engineErrors';

function turned(world: World, what: Share, to: number, forMs: number, told: string): string {
  const members: { conditions: Conditions }[] = [...world.controllers, ...world.gateways, world.api];
  for (const { conditions } of members) conditions[what] = to;
  world.scheduler.after(forMs, () => {
    for (const { conditions } of members) conditions[what] = 0;
  });
  return `${told} (${Math.round(to * 100)} %)`;
}

function shared<What extends keyof World['shared']>(
  world: World,
  what: What,
  to: World['shared'][What],
  back: World['shared'][What],
  forMs: number,
  told: string,
): string {
  world.shared[what] = to;
  world.scheduler.after(forMs, () => {
    world.shared[what] = back;
  });
  return told;
}

/** Redis is not what it was: from now on nothing that it says of idleness may be believed. */
function lost(world: World, change: () => void): void {
  change();
  world.watcher.distrusted('lost');
}

function odd(world: World, what: keyof Oddities, forMs: number, told: string): string {
  world.odd[what] = true;
  world.scheduler.after(forMs, () => {
    world.odd[what] = false;
  });
  return told;
}

function killed(world: World, member: Member, forMs: number): string {
  const { name } = member.process;
  if (!member.process.isAlive()) return `${name} is dead already`;
  world.kill(member);
  const { life } = member;
  world.scheduler.after(forMs, () => {
    if (!member.process.isAlive() && member.life === life) void world.start(member);
  });
  return `${name} is killed and started again ${forMs / 1_000} s later`;
}

function stopped(world: World, member: Member, forMs: number): string {
  const { name } = member.process;
  if (!member.process.isAlive()) return `${name} is dead already`;
  void member.stop();
  world.scheduler.after(Math.max(forMs, 1_000), () => {
    world.kill(member);
    void world.start(member);
  });
  return `${name} is told to stop and started again`;
}

function redisAway(world: World, forMs: number, change: () => void, told: string): string {
  world.shared.redisDown = true;
  change();
  world.scheduler.after(forMs, () => {
    world.shared.redisDown = false;
    for (const member of world.members()) member.redis.reconnected();
  });
  return told;
}

function engineAway(world: World, forMs: number, change: () => void, told: string): string {
  world.shared.engineDown = true;
  world.streams.breakAll();
  change();
  world.scheduler.after(forMs, () => {
    world.shared.engineDown = false;
  });
  return told;
}

function endAll(world: World): void {
  for (const container of world.runtime.engine.containers.values()) world.runtime.engine.kill(container);
}

function loseAll(world: World): void {
  const { engine } = world.runtime;
  for (const container of [...engine.containers.values()]) {
    engine.kill(container);
    engine.remove('lost', container.id);
  }
  engine.networks.delete(networkNameOf(world.installation));
}

/** What somebody at the host's own command line may do to a user's box. */
function byHand(world: World, fault: PlannedFault, user: UserName): string {
  const { engine } = world.runtime;
  const box = world.boxOf(user);
  if (fault.kind === 'foreign-box') return foreign(world, user, box);
  if (box === undefined) return `${fault.kind} of ${user}: there is none`;
  world.watcher.handledByHand(user);
  const id = box.id;
  switch (fault.kind) {
    case 'kill-box':
      engine.kill(box);
      return `somebody kills the box of ${user}`;
    case 'oom-box':
      engine.kill(box, true);
      return `the box of ${user} runs out of memory`;
    case 'remove-box':
      engine.kill(box);
      engine.remove('by-hand', id);
      return `somebody removes the box of ${user}`;
    case 'rename-box':
      engine.rename('by-hand', id, `${box.name}-renamed-${fault.index}`);
      return `somebody renames the box of ${user}`;
    case 'pause-box':
      if (box.state === 'running') engine.pause('by-hand', id);
      return `somebody pauses the box of ${user}`;
    case 'stop-box':
      if (box.state === 'running') void engine.stop('by-hand', id, 5_000);
      return `somebody stops the box of ${user}`;
    case 'restart-box':
      engine.kill(box);
      world.scheduler.after(50, () => {
        if (
          engine.containers.has(id) &&
          box.state === 'exited' &&
          engine.networks.has(box.blueprint.spec?.network ?? '')
        ) {
          world.watcher.handledByHand(user);
          engine.start('by-hand', id);
        }
      });
      return `somebody restarts the box of ${user}`;
    case 'restarting-box':
      engine.kill(box);
      engine.becomes(box, 'restarting');
      world.scheduler.after(500 + fault.how * 4_000, () => {
        if (box.state !== 'restarting' || !engine.containers.has(id)) return;
        world.watcher.handledByHand(user);
        engine.becomes(box, 'exited');
        if (engine.networks.has(box.blueprint.spec?.network ?? '')) engine.start('by-hand', id);
      });
      return `the engine restarts the box of ${user}`;
    case 'removing-box':
      engine.kill(box);
      engine.becomes(box, fault.how < 0.7 ? 'removing' : 'dead');
      world.scheduler.after(500 + fault.how * 4_000, () => {
        if (box.state !== 'removing') return;
        engine.becomes(box, 'exited');
        engine.remove('by-hand', id);
      });
      return `somebody removes the box of ${user}, which takes a while`;
    case 'second-box': {
      if (![...engine.images.values()].includes(box.blueprint.imageId)) return `the image of ${user}'s box is gone`;
      const second = engine.create('by-hand', { ...box.blueprint, name: `${box.name}-second-${fault.index}` });
      if (fault.how < 0.7 && engine.networks.has(box.blueprint.spec?.network ?? '')) engine.start('by-hand', second.id);
      return `somebody makes a second box of ${user}`;
    }
    default:
      throw new Error(`${fault.kind} is not done by hand`);
  }
}

function foreign(world: World, user: UserName, box: SimContainer | undefined): string {
  if (box !== undefined) return `the name of ${user}'s box is taken already`;
  const { engine } = world.runtime;
  const labels = { installation: '', role: '', user: '', generation: 0, spec: null };
  const made = engine.create('by-hand', { name: `spoon-box-${user}`, imageId: foreignImage, ...labels });
  engine.start('by-hand', made.id);
  return `somebody else starts a container under the name of ${user}'s box`;
}
