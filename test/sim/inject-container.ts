import { boxNameOf, networkNameOf, type UserName } from '#shared/identity.ts';
import type { BoxSpec } from '../../controller/src/box/observed.ts';
import { specOf } from '../../controller/src/box/spec.ts';
import type { SimContainer } from '../support/sim-engine.ts';
import { type Injector, nothing, only, type Strike, type Struck, vanish } from './strike.ts';
import { boxClass, foreignImage, image, type World } from './world.ts';

/** What somebody at the host's own command line may do to containers. */
export const onContainer = {
  'kill-box': by('kills', ({ world }, box) => world.runtime.engine.kill(box)),
  'oom-box': by('exhausts', ({ world }, box) => world.runtime.engine.kill(box, true)),
  'remove-box': by('removes', ({ world }, box) => vanish(world, box)),
  'rename-box': by('renames', ({ world, fault }, box) => {
    world.runtime.engine.rename('by-hand', box.id, `${box.name}-renamed-${fault.index}`);
  }),
  'pause-box': by('pauses', ({ world }, box) => {
    if (box.state === 'running') world.runtime.engine.pause('by-hand', box.id);
  }),
  'stop-box': by('stops', ({ world }, box) => {
    if (box.state === 'running') void world.runtime.engine.stop('by-hand', box.id, 5_000);
  }),
  'restart-box': by('restarts', ({ world, user }, box) => {
    const { engine } = world.runtime;
    engine.kill(box);
    world.scheduler.after(50, () => {
      if (!engine.containers.has(box.id) || box.state !== 'exited') return;
      world.watcher.handledByHand(user);
      startIfPossible(world, box);
    });
  }),
  'restarting-box': by('lets the engine restart', ({ world, fault, user }, box) => {
    const { engine } = world.runtime;
    engine.kill(box);
    engine.becomes(box, 'restarting');
    endRestart(world, user, box, 500 + fault.how * 4_000);
  }),
  'removing-box': by('removes, which takes a while,', ({ world, fault }, box) => {
    const { engine } = world.runtime;
    engine.kill(box);
    engine.becomes(box, fault.how < 0.7 ? 'removing' : 'dead');
    endRemoval(world, box, 500 + fault.how * 4_000);
  }),
  'second-box': by('makes a second one beside', ({ world, fault }, box) => {
    const { engine } = world.runtime;
    if (![...engine.images.values()].includes(box.blueprint.imageId)) return;
    const second = engine.create('by-hand', { ...box.blueprint, name: `${box.name}-second-${fault.index}` });
    if (fault.how < 0.7) startIfPossible(world, second);
  }),
  'left-box': left,
  'foreign-box': (strike) => foreign(strike, { installation: '', role: '', user: '', generation: 0, spec: null }),
  'impersonated-box': (strike) => {
    // As an image that was committed from a box, which hands its labels on.
    const spec = specNow(strike, 'sha256:another');
    return foreign(strike, {
      installation: strike.world.installation,
      role: 'box',
      user: strike.user,
      generation: 1,
      spec,
    });
  },
  'foreign-adopted': (strike) => {
    const struck = foreign(strike, { installation: '', role: '', user: '', generation: 0, spec: null });
    const id = strike.world.boxOf(strike.user)?.id ?? '';
    if (struck.didHappen) strike.actors.consent(strike.user, id, strike.fault.how < 0.8);
    return { ...struck, told: `${struck.told}; an operator allows at once that it is replaced` };
  },
} satisfies Record<string, Injector>;

function by(does: string, act: (strike: Strike, box: SimContainer) => void): Injector {
  return (strike) => {
    const { world, user } = strike;
    const box = world.boxOf(user);
    if (box === undefined) return nothing(`nobody ${does} the box of ${user}: there is none`);
    world.watcher.handledByHand(user);
    act(strike, box);
    return only(user, `somebody ${does} the box of ${user}`);
  };
}

/** A container of ours that nobody here made: come back with a backup of the engine, or started from an old one's spec. */
function left(strike: Strike): Struck {
  const { world, user, fault } = strike;
  const { engine } = world.runtime;
  const imageId = engine.images.get(image);
  if (world.boxOf(user) !== undefined) return nothing(`the name of ${user}'s box is taken already`);
  if (imageId === undefined) return nothing('there is no image to make a container from');
  world.watcher.handledByHand(user);
  const generation = fault.which < 0.5 ? 0 : world.redis.now();
  const labels = { installation: world.installation, role: 'box', user, generation };
  const made = engine.create('by-hand', {
    ...labels,
    name: boxNameOf(user),
    imageId,
    spec: specNow(strike, imageId),
  });
  const { how } = fault;
  if (how < 0.7) startIfPossible(world, made);
  if (made.state === 'running') {
    if (how > 0.4 && how < 0.5) engine.pause('by-hand', made.id);
    if (how >= 0.5 && how < 0.6) engine.kill(made);
    if (how >= 0.6) {
      engine.becomes(made, 'restarting');
      endRestart(world, user, made, 2_000);
    }
  } else if (how > 0.85) {
    engine.becomes(made, 'removing');
    endRemoval(world, made, 3_000);
  }
  return only(user, `a container of ours comes back under the name of ${user}'s box, ${made.state}`);
}

function foreign(
  { world, user, fault }: Strike,
  labels: { installation: string; role: string; user: string; generation: number; spec: BoxSpec | null },
): Struck {
  const { engine } = world.runtime;
  const taken = world.boxOf(user) !== undefined;
  const name = taken ? `${boxNameOf(user)}-copy-${fault.index}` : boxNameOf(user);
  if (taken && labels.installation === '') return nothing(`the name of ${user}'s box is taken already`);
  const made = engine.create('by-hand', { name, imageId: foreignImage, ...labels });
  if (fault.how < 0.6) startIfPossible(world, made);
  const what = labels.installation === '' ? 'a container that is not ours' : 'a container with our labels, not ours';
  return only(user, `somebody makes ${what}, called ${name}, ${made.state}`);
}

function startIfPossible(world: World, container: SimContainer): void {
  const { engine } = world.runtime;
  const { spec } = container.blueprint;
  if (spec === null || engine.networks.has(spec.network)) engine.start('by-hand', container.id);
}

function endRestart(world: World, user: UserName, box: SimContainer, afterMs: number): void {
  const { engine } = world.runtime;
  world.scheduler.after(afterMs, () => {
    if (box.state !== 'restarting' || !engine.containers.has(box.id)) return;
    world.watcher.handledByHand(user);
    engine.becomes(box, 'exited');
    startIfPossible(world, box);
  });
}

function endRemoval(world: World, box: SimContainer, afterMs: number): void {
  world.scheduler.after(afterMs, () => {
    if (box.state === 'removing') vanish(world, box);
  });
}

function specNow({ world, user }: { world: World; user: UserName }, imageId: string): BoxSpec {
  return specOf({ user, boxClass, imageId, homesDir: '/homes', network: networkNameOf(world.installation) });
}
