import { ambushes } from './fault-plan.ts';
import { chosen, everybody, type Injector, nothing, only, shared, type Strike, type Struck, turned } from './strike.ts';

/** A jump of less than ten seconds is not told from a slow heartbeat: a box may be reaped so much too early, by design. */
const noticedMs = 10_500;
const wokenBelowMs = 1_000;

/** What happens to Redis, and on the way to it. */
export const onRedis = {
  'redis-flaky': (strike) =>
    turned(strike, 'redisLoss', 0.05 + strike.fault.how * 0.5, `calls to Redis get lost ${strike.forS}`),
  'redis-refuses': (strike) =>
    shared(strike, 'redisRefusals', 0.2 + strike.fault.how * 0.8, 0, `Redis refuses scripts ${strike.forS}`),
  'cut-from-redis': ({ world, fault, forS }) => {
    const member = chosen([...world.controllers, ...world.gateways, world.api], fault.which);
    member.conditions.cutFromRedis = true;
    world.scheduler.after(fault.forMs, () => {
      member.conditions.cutFromRedis = false;
      member.redis.reconnected();
    });
    return everybody(`${member.process.name} is cut from Redis ${forS}`);
  },
  'redis-down': (strike) => away(strike, strike.fault.forMs, () => {}, `Redis does not answer ${strike.forS}`),
  'redis-lost-a-second': (strike) => {
    const copy = strike.copies.of(strike.fault);
    const lose = (): void => lost(strike, 'restored', () => strike.world.redis.restart(copy));
    return away(strike, strike.fault.how * 2_000, lose, 'Redis restarts without its last second');
  },
  'redis-restored': (strike) => {
    const copy = strike.copies.of(strike.fault);
    const lose = (): void => lost(strike, 'restored', () => strike.world.redis.restart(copy));
    return away(strike, strike.fault.how * 2_000, lose, 'Redis is restored from an old copy');
  },
  'redis-flushed': (strike) => {
    lost(strike, 'emptied', () => strike.world.redis.flush());
    return everybody('Redis is emptied');
  },
  'status-lost': ({ world, user }) => {
    const gone = world.redis.command(['DEL', world.keys.user(user).status]);
    return gone === 0 ? nothing(`${user} has no status to lose`) : only(user, `the status of ${user} is lost`);
  },
  'status-restored': ({ world, copies, fault, user }) => {
    const step = chosen(ambushes, fault.how);
    if (!copies.restoreStatus(user, step)) return nothing(`there is no status of ${user} from when it was ${step}`);
    // Often somebody looks at once; else it is found when something happens, or at the next resync.
    if (fault.forMs < wokenBelowMs) world.redis.command(['PUBLISH', world.keys.wakeChannel, user]);
    // What was granted since is in the status that is gone, and nobody can know.
    world.watcher.forgetGrant(user);
    return only(user, `the status of ${user} is again what it was when last ${step}`);
  },
  'desired-lost': ({ world, user }) => {
    const gone = world.redis.command(['DEL', world.keys.user(user).desired]);
    return gone === 0
      ? nothing(`${user} has no desired state to lose`)
      : only(user, `the desired state of ${user} is lost`);
  },
  'leases-lost': ({ world, user }) => {
    const gone = world.redis.command(['DEL', world.keys.user(user).leases]);
    world.watcher.pinsMayBeLost();
    return gone === 0 ? nothing(`${user} has no leases to lose`) : only(user, `the leases of ${user} are lost`);
  },
  'user-damaged': ({ world, fault, user }) => {
    const { desired, leases, status } = world.keys.user(user);
    const [key, field, value] = chosen(
      [
        [desired, 'generation', 'many'],
        [desired, 'lastActivityAt', ''],
        [status, 'version', 'x'],
        [status, 'keepUntil', 'soon'],
        [status, 'body', '{'],
        [status, 'body', '{"value":{"ready":"gone"},"context":{}}'],
        [leases, [...world.redis.hash(leases).keys()][0] ?? 'job-1', '{"kind":'],
      ] as const,
      fault.how,
    );
    if (world.redis.hash(key).size === 0) return nothing(`${user} has nothing there that could be damaged`);
    world.redis.command(['HSET', key, field, value]);
    world.watcher.pinsMayBeLost();
    return only(user, `${field} of ${key} is damaged: ${value}`);
  },
  'clock-jump': ({ world, fault }) => {
    const ahead = fault.how < 0.5 ? -1 : 1;
    const byMs = ahead * Math.round(noticedMs + Math.abs(fault.how - 0.5) * 7_200_000);
    world.shared.clockMs += byMs;
    world.watcher.distrusted('jumped', byMs);
    return everybody(`Redis' clock jumps by ${Math.round(byMs / 1_000)} s`);
  },
} satisfies Record<string, Injector>;

function away({ world }: Strike, forMs: number, change: () => void, told: string): Struck {
  world.shared.redisDown = true;
  change();
  world.scheduler.after(forMs, () => {
    world.shared.redisDown = false;
    for (const member of world.members()) member.redis.reconnected();
  });
  return everybody(told);
}

/** Redis is not what it was: from now on nothing that it says of idleness may be believed. */
function lost({ world }: Strike, how: 'emptied' | 'restored', change: () => void): void {
  change();
  world.watcher.distrusted(how);
}
