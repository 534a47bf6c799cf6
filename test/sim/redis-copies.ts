import type { PlannedFault } from './fault-plan.ts';
import type { World } from './world.ts';

type SavedRedis = ReturnType<World['redis']['copy']>;

/** Redis as it was: what a restart or a restore may come back with. */
export class RedisCopies {
  private readonly world: World;
  private readonly copies = new Map<number, SavedRedis>();
  private readonly empty: SavedRedis;
  /** user → step or phase → the status that was stored then */
  private readonly statuses = new Map<string, Map<string, ReadonlyMap<string, string>>>();

  constructor(world: World, faults: readonly PlannedFault[]) {
    this.world = world;
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

  /** A commit brought this user's box to this step. */
  remember(user: string, step: string): void {
    const known = this.statuses.get(user) ?? new Map<string, ReadonlyMap<string, string>>();
    this.statuses.set(user, known);
    known.set(step, new Map(this.world.redis.hash(this.statusKey(user))));
  }

  /** The status of this user is again what it was at that step; false = it never was there. */
  restoreStatus(user: string, step: string): boolean {
    const status = this.statuses.get(user)?.get(step);
    if (status === undefined) return false;
    const { redis } = this.world;
    redis.command(['DEL', this.statusKey(user)]);
    redis.command(['HSET', this.statusKey(user), ...[...status].flat()]);
    return true;
  }

  private statusKey(user: string): string {
    return `{spoonbox:${this.world.installation}}:u:${user}:status`;
  }
}
