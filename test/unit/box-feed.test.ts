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
