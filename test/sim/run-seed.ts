import { Actors } from './actors.ts';
import { type PlannedFault, planFaults } from './fault-plan.ts';
import { calm, inject, RedisCopies } from './inject.ts';
import { Random } from './random.ts';
import { idle, World } from './world.ts';

export interface SeedOptions {
  readonly controllers: number;
  readonly gateways: number;
  readonly users: number;
  /** how long faults and people go on, virtual minutes */
  readonly minutes: number;
  readonly leastFaults: number;
}

export const usualSeed: SeedOptions = { controllers: 2, gateways: 2, users: 5, minutes: 10, leastFaults: 5 };

export interface SeedResult {
  readonly seed: number;
  readonly violations: readonly string[];
  /** what happened, as sentences */
  readonly story: readonly string[];
  readonly faults: readonly PlannedFault[];
  readonly reached: ReadonlyMap<string, number>;
  /** pieces of work that the scheduler ran */
  readonly steps: number;
}

/** Time to get ready in once everything is calm: pulls, backoff up to a minute, resyncs, a leader's takeover. */
const settleMs = 180_000;
/** Until everything is gone after everybody left: the idle time, the longest grant, and the pacer's turns. */
const goneMs = 10 * 60_000 + idle.attachedMs;

/** One story from its seed: the same seed and the same faults left out give the same story. */
export async function runSeed(
  seed: number,
  options: SeedOptions = usualSeed,
  leftOut: ReadonlySet<number> = new Set(),
): Promise<SeedResult> {
  const world = new World(seed, options);
  const { scheduler, watcher } = world;
  const story: string[] = [];
  const tell = (what: string): void => {
    story.push(`${(scheduler.now() / 1_000).toFixed(3).padStart(9)} s  ${what}`);
  };
  const untilMs = options.minutes * 60_000;
  const faults = planFaults(new Random(seed ^ 0x5f5f5f5f), untilMs, options.leastFaults);
  let steps = 0;
  const step = (): void => {
    steps += 1;
    watcher.look();
  };

  await world.startAll();
  const copies = new RedisCopies(world);
  const actors = new Actors(world, tell);
  actors.start();
  for (const fault of faults) {
    if (leftOut.has(fault.index)) continue;
    scheduler.after(fault.at, () => tell(`FAULT ${fault.index}: ${inject(world, copies, fault)}`));
  }
  await scheduler.run(untilMs, step);

  tell('the faults end');
  actors.calmDown();
  await calm(world);
  // Whatever lasts longer than its fault (a pause, a restart under way) ends within its own longest time.
  await scheduler.run(untilMs + 65_000, step);
  await calm(world);
  tell('everybody wants a box now');
  for (const user of world.users) actors.hold(user);
  await scheduler.run(untilMs + 65_000 + settleMs, step);
  checkReady(world);
  tell('everybody goes home');
  actors.goHome();
  await scheduler.run(untilMs + 65_000 + settleMs + goneMs, step);
  checkGone(world);
  return { seed, violations: watcher.violations, story, faults, reached: watcher.reached, steps };
}

function checkReady(world: World): void {
  for (const user of world.users) {
    const box = world.boxOf(user);
    const status = world.redis.hash(world.keys.user(user).status);
    const ours = world.runtime.engine.labelled(user).filter((container) => container.blueprint.installation !== '');
    if (box?.state !== 'running' || status.get('phase') !== 'ready' || status.get('containerId') !== box.id) {
      const phase = `${status.get('phase') ?? 'no status'}, container ${box?.state ?? 'missing'}`;
      world.watcher.violated(
        `5: ${user} wants a box, faults have stopped, and there is none: ${phase} ${status.get('body') ?? ''}`,
      );
    } else if (ours.length !== 1)
      world.watcher.violated(`1: ${user} has ${ours.length} containers after everything settled`);
  }
}

function checkGone(world: World): void {
  for (const container of world.runtime.engine.containers.values()) {
    world.watcher.violated(`7: the container ${container.name} (${container.state}) is left over`);
  }
  for (const shell of world.shells.running()) world.watcher.violated(`7: a shell of ${shell.session} still runs`);
  for (const user of world.users) {
    const keys = world.keys.user(user);
    for (const lease of world.redis.hash(keys.leases).values()) {
      if (!lease.includes('"endedAt"')) world.watcher.violated(`7: a lease of ${user} is left over: ${lease}`);
    }
  }
}
