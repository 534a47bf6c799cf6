import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { Limits } from '#shared/config.ts';
import { UserName } from '#shared/identity.ts';
import type { LeasePriority } from '#shared/lease.ts';
import { Random } from './random.ts';
import { idle, leaseId, type Member, World } from './world.ts';

/** Places and the line for them, with whole controllers in virtual time; the promises are watched as in every story. */

const gib = 1024 ** 3;
const Body = z.object({
  message: z.string(),
  conditions: z.array(z.object({ type: z.string(), reason: z.string() })),
  lastReap: z.object({ cause: z.string() }).nullable(),
});
const [alice, bob, carol, dave, erin] = ['alice', 'bob', 'carol', 'dave', 'erin'].map((name) =>
  UserName.parse(name),
) as [UserName, UserName, UserName, UserName, UserName];

class Place {
  readonly world: World;
  /** the most boxes that ran at once */
  most = 0;
  /** users in the order in which they got a box, each time anew */
  readonly gotIn: UserName[] = [];
  private readonly ready = new Set<UserName>();

  private constructor(limits: Limits, seed: number) {
    this.world = new World(seed, { controllers: 2, gateways: 1, users: 6 });
    this.world.limits = limits;
  }

  static async open(limits: Limits, seed = 1): Promise<Place> {
    const place = new Place(limits, seed);
    for (const member of place.world.controllers) await place.world.start(member);
    await place.run(5_000);
    return place;
  }

  async run(ms: number): Promise<void> {
    const { scheduler, watcher, runtime, users } = this.world;
    await scheduler.run(scheduler.now() + ms, () => {
      watcher.look();
      const running = [...runtime.engine.containers.values()].filter(({ state }) => state === 'running');
      this.most = Math.max(this.most, running.length);
      for (const user of users) {
        const isReady = this.phase(user) === 'ready';
        if (isReady && !this.ready.has(user)) this.gotIn.push(user);
        if (isReady) this.ready.add(user);
        else this.ready.delete(user);
      }
    });
    expect(watcher.violations).toEqual([]);
  }

  /** A pin needs nobody to renew it. */
  take(user: UserName, priority: LeasePriority | null = null, boxClass: string | null = null): void {
    const lease = { user, id: leaseId('lease'), kind: 'pin' as const, holder: `work of ${user}`, ttlMs: 86_400_000 };
    void this.world.store.take({ ...lease, class: boxClass, priority });
  }

  letGo(user: UserName): void {
    void this.world.store.release(user, leaseId('lease'), 'work');
  }

  phase(user: UserName): string {
    return this.status(user).get('phase') ?? 'absent';
  }

  body(user: UserName): z.infer<typeof Body> {
    return Body.parse(JSON.parse(this.status(user).get('body') ?? '{}'));
  }

  reason(user: UserName): string {
    return this.body(user).conditions.find(({ type }) => type === 'Ready')?.reason ?? '';
  }

  leader(): Member {
    const [, holder] = /^(\S+)/.exec(this.world.redis.hash(this.world.keys.heartbeat).get('holder') ?? '') ?? [];
    const leader = this.world.controllers.find(({ process }) => process.name === holder);
    if (leader === undefined) throw new Error(`nobody leads: ${holder}`);
    return leader;
  }

  private status(user: UserName): ReadonlyMap<string, string> {
    return this.world.redis.hash(this.world.keys.user(user).status);
  }
}

test('who finds no place waits in sight, and gets the first that comes free', async () => {
  const place = await Place.open({ boxes: 2, memoryBytes: null });
  for (const user of [alice, bob]) {
    place.take(user);
    await place.run(10_000);
  }
  place.take(carol);
  await place.run(3_000);
  place.take(dave);
  await place.run(10_000);
  expect([place.reason(carol), place.reason(dave)]).toEqual(['AdmissionWait', 'AdmissionWait']);
  expect(place.body(dave).message).toBe(
    'it waits for a place: position 2 of 2 in line; 2 of 2 boxes are taken; they are alice, bob',
  );
  void place.world.store.wish(alice, { wish: 'reap' }, 'operator');
  await place.run(20_000);
  expect([place.phase(alice), place.phase(bob), place.phase(carol), place.phase(dave)]).toEqual(
    ['absent', 'ready', 'ready', 'absent'], // prettier-ignore
  );
  expect(place.body(dave).message).toContain('position 1 of 1');
  expect(place.most).toBe(2);
});

test('the memory of the boxes counts as well', async () => {
  const place = await Place.open({ boxes: null, memoryBytes: 3 * gib });
  for (const user of [alice, bob, carol]) place.take(user);
  await place.run(20_000);
  place.take(dave);
  await place.run(10_000);
  expect(place.gotIn).toHaveLength(3);
  expect(place.body(dave).message).toContain('3.0 GiB of 3.0 GiB memory are taken, and it needs 1.0 GiB');
  expect(place.most).toBe(3);
});

test('a box whose class alone is more than the budget is refused at once, and says why', async () => {
  const place = await Place.open({ boxes: null, memoryBytes: gib / 2 });
  place.take(alice);
  await place.run(10_000);
  expect([place.phase(alice), place.reason(alice)]).toEqual(['failed', 'OverBudget']);
  expect(place.body(alice).message).toContain('may use 1.0 GiB, and all boxes together 512 MiB (SPOON_BOX_MEMORY)');
});

describe('idle boxes give way', () => {
  test('the longest idle first, only as many as it takes, and not before their time', async () => {
    const place = await Place.open({ boxes: 3, memoryBytes: null });
    for (const user of [alice, bob, carol]) place.take(user);
    await place.run(20_000);
    place.letGo(bob);
    await place.run(3_000);
    place.letGo(alice);
    await place.run(1_000);
    place.take(dave);
    await place.run(idle.giveWayMs - 6_000);
    expect([alice, bob, carol, dave].map((user) => place.phase(user))).toEqual(['ready', 'ready', 'ready', 'absent']);
    await place.run(12_000);
    expect([alice, bob, carol, dave].map((user) => place.phase(user))).toEqual(['ready', 'absent', 'ready', 'ready']);
    expect(place.body(bob).lastReap).toMatchObject({ cause: 'gave-way' });
    expect(place.most).toBe(3);
  });

  test('not while nobody waits: they are kept for their time', async () => {
    const place = await Place.open({ boxes: 2, memoryBytes: null });
    for (const user of [alice, bob]) place.take(user);
    await place.run(20_000);
    place.letGo(alice);
    await place.run(idle.detachedMs - 3_000);
    expect(place.phase(alice)).toBe('ready');
    await place.run(20_000);
    expect(place.body(alice).lastReap).toMatchObject({ cause: 'idle' });
  });

  test('for nobody but who waits: a limit that was lowered ends none before its own time', async () => {
    const place = await Place.open({ boxes: null, memoryBytes: null });
    for (const user of [alice, bob, carol]) place.take(user);
    await place.run(20_000);
    place.letGo(carol);
    await place.run(1_000);
    place.world.limits = { boxes: 1, memoryBytes: null };
    for (const member of place.world.controllers) {
      place.world.kill(member);
      await place.world.start(member);
    }
    await place.run(idle.giveWayMs + 15_000);
    expect([alice, bob, carol].map((user) => place.phase(user))).toEqual(['ready', 'ready', 'ready']);
    await place.run(20_000);
    expect([alice, bob, carol].map((user) => place.phase(user))).toEqual(['ready', 'ready', 'absent']);
    expect(place.body(carol).lastReap).toMatchObject({ cause: 'idle' });
    place.take(dave);
    await place.run(20_000);
    expect(place.body(dave).message).toContain('2 of 1 boxes are taken');
  });
});

test('the line goes by priority and then by time, and a new leader goes on with it', async () => {
  const place = await Place.open({ boxes: 1, memoryBytes: null });
  place.take(alice);
  await place.run(15_000);
  for (const [user, priority] of [
    [bob, 'low'],
    [carol, 'normal'],
    [dave, null],
    [erin, 'high'],
  ] as const) {
    place.take(user, priority);
    await place.run(1_000);
  }
  place.world.kill(place.leader());
  await place.run(60_000);
  expect(place.body(bob).message).toContain('position 4 of 4');
  for (const next of [alice, erin, carol, dave]) {
    void place.world.store.wish(next, { wish: 'reap' }, 'operator');
    await place.run(30_000);
  }
  expect(place.gotIn).toEqual([alice, erin, carol, dave, bob]);
  expect(place.most).toBe(1);
});

test('a box that is made anew keeps its place: it is no case for the line', async () => {
  const place = await Place.open({ boxes: 1, memoryBytes: null });
  place.take(alice);
  await place.run(15_000);
  place.take(bob, 'high');
  await place.run(5_000);
  void place.world.store.wish(alice, { wish: 'recreate' }, 'operator');
  await place.run(30_000);
  expect([place.phase(alice), place.phase(bob)]).toEqual(['ready', 'absent']);
  expect(place.gotIn).toEqual([alice, alice]);
});

test.each([11, 12])(
  'people come and go, leaders die: never more boxes than may be, and everybody gets one (seed %i)',
  async (seed) => {
    const place = await Place.open({ boxes: 2, memoryBytes: null }, seed);
    const { world } = place;
    const random = new Random(seed);
    const waitedSince = new Map<UserName, number>();
    let [longestMs, served] = [0, 0];
    const live = (user: UserName): void => {
      waitedSince.set(user, world.scheduler.now());
      place.take(user, random.pick(['low', 'normal', 'high', null] as const));
      const look = (): void => {
        if (place.phase(user) !== 'ready') return void world.scheduler.after(500, look);
        longestMs = Math.max(longestMs, world.scheduler.now() - (waitedSince.get(user) ?? 0));
        waitedSince.delete(user);
        served += 1;
        world.scheduler.after(random.int(2_000, 20_000), () => {
          place.letGo(user);
          world.scheduler.after(random.int(1_000, 60_000), () => live(user));
        });
      };
      world.scheduler.after(500, look);
    };
    for (const user of world.users) world.scheduler.after(random.int(0, 10_000), () => live(user));
    for (let round = 0; round < 5; round += 1) {
      await place.run(random.int(40_000, 140_000));
      const member = random.pick(world.controllers);
      world.kill(member);
      await place.run(random.int(10, 5_000));
      await world.start(member);
    }
    await place.run(120_000);
    expect(place.most).toBe(2);
    expect(served).toBeGreaterThan(10);
    // A low one may stand behind twenty minutes of high ones; here, six people share two places.
    expect(longestMs).toBeLessThan(10 * 60_000);
    for (const since of waitedSince.values()) expect(world.scheduler.now() - since).toBeLessThan(10 * 60_000);
  },
);
