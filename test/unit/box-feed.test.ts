import { afterEach, expect, test } from 'vitest';
import { UserName } from '#shared/identity.ts';
import { createLogger } from '#shared/log.ts';
import type { BoxRecord } from '#shared/status.ts';
import { type BoxFeed, type ChangeFrame, createBoxFeed, type Frame } from '../../controller/src/api/box-feed.ts';
import type { OnChange } from '../../controller/src/api/changes.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';
import { jobLease, PassWorld } from '../support/pass-world.ts';

const alice = UserName.parse('alice');
const log = createLogger({ name: 'test', level: 'silent' });
/** longer than anything that a test waits for */
const farMs = 10_000_000;

/** A feed of alice's box as Redis has it, whose clock goes with this process's own; lease j1 holds it for `heldMs`. */
class FeedWorld {
  readonly clock = new FakeClock();
  readonly feed: BoxFeed;
  /** what was pushed, in its order */
  readonly pushed: (Frame | ChangeFrame)[] = [];
  reads = 0;
  fails = false;
  expiresAt: number;
  private change: OnChange = () => {};

  constructor(heldMs = farMs) {
    this.expiresAt = this.now + heldMs;
    const store = {
      users: async () => {
        if (this.fails) throw new Error('BUSY');
        return [alice];
      },
      read: async () => {
        this.reads += 1;
        if (this.fails) throw new Error('BUSY');
        return this.record();
      },
    };
    const changes = {
      listen: (onChange: OnChange) => {
        this.change = onChange;
        return () => {
          this.change = () => {};
        };
      },
    };
    this.feed = createBoxFeed(store, new Map(), changes, this.clock, log);
  }

  get now(): number {
    return this.clock.monotonicMs();
  }

  async join(user: UserName | null = null): Promise<() => void> {
    const watcher = { user, push: (_user: UserName, frame: Frame | ChangeFrame) => void this.pushed.push(frame) };
    await this.feed.join(watcher, null).told;
    return () => this.feed.leave(watcher);
  }

  /** null: anything may have changed */
  async changed(user: UserName | null = alice): Promise<void> {
    this.change(user);
    await settled();
  }

  private record(): BoxRecord {
    const { now, expiresAt } = this;
    const isHeld = expiresAt > now;
    return {
      ...new PassWorld().record,
      now,
      leases: isHeld ? [{ ...jobLease, takenAt: 0, expiresAt }] : [],
      wantedUntil: isHeld ? expiresAt : 0,
    };
  }
}

let world: FeedWorld;
afterEach(() => {
  world.feed.end();
  expect(world.clock.pending, 'timers left').toBe(0);
});

test('what waits for slow watchers is held once, however they came', async () => {
  world = new FeedWorld();
  await world.join();
  await world.join();
  await world.join(alice);
  const [one, other, third] = world.pushed;
  expect(world.reads).toBe(3);
  expect(other).toBe(one);
  expect(third).toBe(one);
});

test('a renewal that nobody tells is told when the time that watchers know has passed', async () => {
  world = new FeedWorld(60_000);
  await world.join();
  world.expiresAt += 40_000;
  await world.clock.advance(61_000);
  expect(world.pushed).toHaveLength(2);
  expect(world.pushed[1]?.text).toContain(`"expiresAt":${world.expiresAt}`);
  await world.clock.advance(30_000);
  expect(world.reads, 'one read each time').toBe(2);
});

test('a lease that runs out is told as gone, and then nothing is left to look for', async () => {
  world = new FeedWorld(60_000);
  await world.join();
  await world.clock.advance(61_000);
  expect(world.pushed.at(-1)?.text).toContain('"leases":[]');
  expect(world.clock.pending).toBe(0);
});

test('a time that is far away is waited for without looking', async () => {
  const daysMs = 30 * 24 * 3_600_000;
  world = new FeedWorld(daysMs);
  await world.join();
  expect(world.clock.nextInMs).toBeLessThan(2 ** 31);
  await world.clock.advance(daysMs - 1_000);
  expect(world.reads).toBe(1);
  await world.clock.advance(2_000);
  expect(world.pushed.at(-1)?.text).toContain('"leases":[]');
});

test('nothing is read for a time that passes while nobody watches, but who comes back is told', async () => {
  world = new FeedWorld(60_000);
  const leave = await world.join();
  const lastId = world.feed.id();
  leave();
  await world.clock.advance(61_000);
  expect(world.reads).toBe(1);
  const again = world.feed.join({ user: null, push: (_user, frame) => void world.pushed.push(frame) }, lastId);
  await again.told;
  expect(again.from).toBe(lastId);
  expect(world.pushed.at(-1)?.text).toContain('"leases":[]');
});

test.each([
  ['of one box', alice],
  ['of all', null],
])('a read %s that failed is done again until it succeeds, though nothing changes any more', async (_what, user) => {
  world = new FeedWorld();
  await world.join();
  world.fails = true;
  world.expiresAt += 5_000;
  await world.changed(user);
  await world.clock.advance(5_000);
  expect(world.pushed).toHaveLength(1);
  world.fails = false;
  await world.clock.advance(2_000);
  expect(world.pushed).toHaveLength(2);
  expect(world.pushed[1]?.text).toContain(`"expiresAt":${world.expiresAt}`);
});

test('a read that failed gives no order: whoever goes on from a later change is told of it', async () => {
  world = new FeedWorld();
  await world.join();
  world.fails = true;
  await world.changed();
  const lastId = world.feed.id();
  world.fails = false;
  await world.clock.advance(2_000);
  const told: Frame[] = [];
  await world.feed.join({ user: null, push: (_user, frame) => void told.push(frame) }, lastId).told;
  expect(told).toHaveLength(1);
});

test('a read that outlasts the feed leaves no timer behind', async () => {
  world = new FeedWorld(60_000);
  const joined = world.join();
  world.feed.end();
  await joined;
  expect(world.clock.pending).toBe(0);
});
