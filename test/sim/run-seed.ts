import { Actors } from './actors.ts';
import { checkGone, checkReady, checkStopped } from './final-checks.ts';
import { Coverage } from './coverage.ts';
import { isAct, type PlannedFault, planFaults } from './fault-plan.ts';
import { calm, inject } from './inject.ts';
import { Random } from './random.ts';
import { type Added, planSeek } from './seek.ts';
import { RedisCopies } from './redis-copies.ts';
import { sentenceOf } from './sim-log.ts';
import { World } from './world.ts';

export interface SeedOptions {
  readonly controllers: number;
  readonly gateways: number;
  readonly users: number;
  /** how long faults and people go on, virtual minutes */
  readonly minutes: number;
  readonly leastFaults: number;
  /** an edge of the machine that the plan is made for; null = a plan by chance */
  readonly edge: string | null;
  /** faults beside the plan's */
  readonly added: readonly Added[];
  /** nothing happens but what is added */
  readonly onlyAdded: boolean;
}

export const usualSeed: SeedOptions = {
  controllers: 2,
  gateways: 2,
  users: 5,
  minutes: 10,
  leastFaults: 5,
  edge: null,
  added: [],
  onlyAdded: false,
};

/** What a shrunk story does without. */
export interface LeftOut {
  /** by their index in the plan */
  readonly faults: ReadonlySet<number>;
  /** whose people do nothing */
  readonly users: ReadonlySet<string>;
  /** everything that comes after the first broken promise */
  readonly afterRed: boolean;
}

export interface SeedResult {
  readonly seed: number;
  readonly violations: readonly string[];
  /** what happened, as sentences */
  readonly story: readonly string[];
  readonly faults: readonly PlannedFault[];
  readonly reached: ReadonlyMap<string, number>;
  readonly coverage: Coverage;
  /** from the end of the faults until everybody had a box, virtual ms; null = never */
  readonly healMs: number | null;
  /** pieces of work that the scheduler ran */
  readonly steps: number;
}

/** Time to get ready in once everything is calm: pulls, backoff up to a minute, resyncs, a leader's takeover. */
const settleMs = 180_000;
/** Until everything is gone after everybody left: the idle time, the longest grant, and the pacer's turns. */
const goneMs = 12 * 60_000;
/** A plan for one edge is so dense that less will do. */
const seekMinutes = 4;
/** How long after the commit an ambush strikes, at most: a command takes of this order. */
const ambushMs = 60;
/** What nobody came by in this time strikes anyway. */
const ambushWaitsMs = 30_000;
/** How often the end is looked for, and how long it has to stay as it is then. */
const lookMs = 1_000;
const staysMs = 15_000;
/** A process that is told to stop has stopped by then. */
const stopMs = 30_000;

export const nothingLeftOut: LeftOut = { faults: new Set(), users: new Set(), afterRed: false };

/** Thrown where a story is to end with its first broken promise. */
const isRed = new Error('a promise is broken');

/** One story from its seed: the same seed with the same left out gives the same story. */
export async function runSeed(
  seed: number,
  options: SeedOptions = usualSeed,
  leftOut: LeftOut = nothingLeftOut,
): Promise<SeedResult> {
  const world = new World(seed, options);
  const { scheduler, watcher } = world;
  const story: string[] = [];
  const coverage = new Coverage();
  const tell = (what: string): void => {
    story.push(`${(scheduler.now() / 1_000).toFixed(3).padStart(9)} s  ${what}`);
  };
  world.onLog = (process, level, fields, message) => {
    if (message === 'plan') coverage.edge(fields.from, String(fields.rule), String(fields.user), scheduler.now());
    const sentence = sentenceOf(process, level, fields, message);
    if (sentence !== null) tell(sentence);
  };
  watcher.onViolation = (what) => tell(`VIOLATED: ${what}`);
  const untilMs = (options.edge === null ? options.minutes : Math.min(options.minutes, seekMinutes)) * 60_000;
  const random = new Random(seed ^ 0x5f5f5f5f);
  const { edge, leastFaults } = options;
  const byChance = edge === null ? planFaults(random, untilMs, leastFaults) : planSeek(random, edge, untilMs);
  const plan = options.onlyAdded ? [] : byChance;
  const planned = [...plan, ...options.added.map((fault, index) => ({ ...fault, index: plan.length + index }))];
  const faults = planned.filter((fault) => !leftOut.faults.has(fault.index));
  let steps = 0;
  let healMs: number | null = null;
  const step = (): void => {
    steps += 1;
    watcher.look();
    if (leftOut.afterRed && watcher.violations.length > 0) throw isRed;
  };
  /** Runs until nothing is missing, or until `mostMs` from now; and then for a while more, to see that it stays so. */
  const runUntil = async (missing: () => string[], mostMs: number): Promise<number | null> => {
    const begun = scheduler.now();
    while (missing().length > 0 && scheduler.now() < begun + mostMs)
      await scheduler.run(scheduler.now() + lookMs, step);
    const tookMs = missing().length === 0 ? scheduler.now() - begun : null;
    await scheduler.run(scheduler.now() + staysMs, step);
    for (const what of missing()) watcher.violated(what);
    return tookMs;
  };

  // Every fourth engine has yet to pull the image.
  if (seed % 4 === 0) {
    world.loseImage();
    world.restoreImage();
  }
  const play = async (): Promise<void> => {
    await world.startAll();
    const copies = new RedisCopies(world, faults);
    const actors = new Actors(world, tell, options.onlyAdded ? new Set(world.users) : leftOut.users);
    actors.start();
    const waiting = new Set<PlannedFault>();
    const strike = (fault: PlannedFault): void => {
      const { told, user, didHappen } = inject({ world, actors, copies }, fault);
      if (didHappen && !isAct(fault.kind)) coverage.fault(fault.kind, user, scheduler.now(), fault.forMs);
      tell(`${isAct(fault.kind) ? 'ACT' : 'FAULT'} ${fault.index} (${fault.kind}): ${told}`);
    };
    watcher.onCommit = (user, phase, reached) => {
      copies.remember(user, reached ?? phase);
      for (const fault of waiting) {
        if (fault.ambush !== phase && fault.ambush !== reached) continue;
        waiting.delete(fault);
        const which = (world.users.map(String).indexOf(user) + 0.5) / world.users.length;
        scheduler.after(fault.how * ambushMs, () => {
          if (scheduler.now() < untilMs) strike({ ...fault, which });
        });
      }
    };
    for (const fault of faults) {
      scheduler.after(fault.at, () => {
        if (fault.ambush === null) {
          strike(fault);
          return;
        }
        waiting.add(fault);
        const patienceMs = Math.min(ambushWaitsMs, untilMs - 1 - scheduler.now());
        scheduler.after(patienceMs, () => {
          if (waiting.delete(fault)) strike(fault);
        });
      });
    }
    await scheduler.run(untilMs, step);

    waiting.clear();
    tell('the faults end');
    actors.calmDown();
    await calm(world);
    // Whatever lasts longer than its fault (a pause, a restart under way) ends within its own longest time.
    await scheduler.run(untilMs + 65_000, step);
    await calm(world);
    tell('everybody wants a box now, and a terminal at every gateway');
    const sockets = world.users.flatMap((user) => actors.hold(user));
    healMs = await runUntil(() => checkReady(world, sockets), settleMs);
    tell('everybody goes home');
    actors.goHome();
    await runUntil(() => checkGone(world), goneMs);
    tell('the processes are told to stop');
    const members = new Set([...world.controllers, ...world.gateways]);
    for (const member of members) {
      void member.stop().then(() => {
        members.delete(member);
        for (const what of checkStopped(member)) watcher.violated(what);
      });
    }
    await scheduler.run(scheduler.now() + stopMs, step);
    for (const { process } of members) watcher.violated(`7: ${process.name} was told to stop, and goes on`);
  };
  await play().catch((error: unknown) => {
    if (error !== isRed) throw error;
  });
  return { seed, violations: watcher.violations, story, faults, reached: watcher.reached, coverage, healMs, steps };
}
