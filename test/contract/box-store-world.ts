import { expect } from 'vitest';
import { type BoxStore, createBoxStore, type TakenLease, type TakeLease } from '#shared/box-store.ts';
import { InstallationId, type Keys, keysOf, LeaseId, type UserKeys, UserName } from '#shared/identity.ts';
import type { Session } from '#shared/lease.ts';
import type { RedisPort } from '#shared/redis-port.ts';
import type { StatusBody } from '#shared/status.ts';
import { createLeaderStore, type LeaderStore } from '../../controller/src/store/leader-store.ts';
import {
  type Commit,
  type CommitResult,
  createStatusStore,
  type Intent,
  type StatusStore,
} from '../../controller/src/store/status-store.ts';

export const minute = 60_000;
export const hour = 60 * minute;
/** detached, attached, giving way */
export const policies = {
  default: [30 * minute, 8 * hour, minute],
  small: [2 * minute, 5 * minute],
  '*': [minute, hour],
} as const;
export const noActivity = { inputAgeMs: null, outputAgeMs: null };
export const leaderToken = 'the-leader';

/** One Redis for a whole suite; every test has an installation of its own in it. */
export interface RedisHarness {
  /** a client of its own */
  connect(): RedisPort;
  /** Any command, to look behind the scripts and to damage what is stored. */
  command(...words: string[]): Promise<unknown>;
  /** A new server process on the same data. */
  restart(): Promise<void>;
  flush(): Promise<void>;
  dispose(): Promise<void>;
}

export interface World {
  readonly redis: RedisPort;
  readonly keys: Keys;
  readonly user: UserName;
  readonly own: UserKeys;
  readonly store: BoxStore;
  readonly statusStore: StatusStore;
  readonly leaderStore: LeaderStore;
  command(...words: string[]): Promise<unknown>;
  take(id: string, changes?: Partial<Omit<TakeLease, 'id'>>): Promise<TakenLease>;
  renew(id: string, activity?: { inputAgeMs?: number; outputAgeMs?: number }): ReturnType<BoxStore['renew']>;
  release(id: string): Promise<boolean | null>;
  read(): ReturnType<BoxStore['read']>;
  /** What the user's desired state and leases say happened `ms` longer ago. */
  passTime(ms: number): Promise<void>;
  /** Makes `leaderToken` lead, and Redis trusted. */
  lead(): Promise<void>;
  /** As a pass would that had read just before, unless `version` is given. */
  commit(intent: Intent, changes?: Partial<Commit> & { token?: string }): Promise<CommitResult>;
  /** All that is stored of this installation, by key. */
  stored(): Promise<Map<string, string[]>>;
}

let installations = 0;

export function createWorld(harness: RedisHarness, redis: RedisPort): World {
  installations += 1;
  const keys = keysOf(InstallationId.parse(`t${installations}-${process.pid}`));
  const user = UserName.parse('alice');
  const own = keys.user(user);
  const store = createBoxStore({ redis, keys, policies, defaultClass: 'default' });
  const statusStore = createStatusStore({ redis, keys, policies });
  const leaderStore = createLeaderStore(redis, keys);
  const { command } = harness;

  return {
    ...{ redis, keys, user, own, store, statusStore, leaderStore, command },
    async take(id, changes = {}) {
      const taken = await store.take(leaseOf(user, id, changes));
      if (!taken.ok) throw new Error(`take was refused: ${taken.refused} ${taken.detail}`);
      return taken.lease;
    },
    renew: (id, activity = {}) => store.renew(user, LeaseId.parse(id), null, { ...noActivity, ...activity }),
    release: (id) => store.release(user, LeaseId.parse(id), 'test'),
    read: () => store.read(user),
    async passTime(ms) {
      for (const [field, value] of await pairs(command, own.desired)) {
        if (['lastActivityAt', 'lastInputAt', 'heldUntil'].includes(field) && value !== '0') {
          await command('HSET', own.desired, field, String(Number(value) - ms));
        }
      }
      for (const [field, json] of await pairs(command, own.leases)) {
        const lease = JSON.parse(json);
        for (const time of ['takenAt', 'expiresAt', 'endedAt']) if (time in lease) lease[time] -= ms;
        await command('HSET', own.leases, field, JSON.stringify(lease));
      }
    },
    async lead() {
      const candidate = { token: leaderToken, ttlMs: 60_000, holder: 'test', fingerprint: 'f' };
      expect(await leaderStore.take(candidate, 0)).toMatchObject({ leads: true });
      expect(await leaderStore.mark(leaderToken, await redis.runId())).toBe(true);
    },
    async commit(intent, changes = {}) {
      const { token = leaderToken, ...fields } = changes;
      const version = fields.version ?? (await store.read(user)).status?.version ?? 0;
      return await statusStore.commit(token, { ...plainCommit, user, intent, ...fields, version });
    },
    async stored() {
      const found = new Map<string, string[]>();
      for (const key of strings(await command('KEYS', `${keys.users.slice(0, -'users'.length)}*`))) {
        const type = await command('TYPE', key);
        const words = type === 'hash' ? ['HGETALL', key] : type === 'stream' ? ['XRANGE', key, '-', '+'] : ['GET', key];
        found.set(key, [await command(...words)].flat(3).map(String));
      }
      return found;
    },
  };
}

export function leaseOf(user: UserName, id: string, changes: Partial<Omit<TakeLease, 'id'>> = {}): TakeLease {
  return { user, id: LeaseId.parse(id), kind: 'job', holder: 'agent-7', ttlMs: 60_000, class: null, ...changes };
}

/** Hears how soon a user is to be looked at. `first` is done again and again until it is heard. */
export async function whenTold(
  store: BoxStore,
  what: 'wake' | 'status',
  first: () => Promise<unknown>,
): Promise<{ told(doIt: () => Promise<unknown>): Promise<string | undefined>; end(): Promise<void> }> {
  const heard: string[] = [];
  const end = await store.subscribe(
    what,
    (_who, when) => heard.push(when),
    () => {},
  );
  await untilHeard(heard, first);
  return {
    end,
    async told(doIt) {
      const before = heard.length;
      await doIt();
      await expect.poll(() => heard.length).toBe(before + 1);
      return heard.at(-1);
    },
  };
}

/** What is said before a subscription stands is lost. */
export async function untilHeard(heard: readonly string[], say: () => Promise<unknown>): Promise<void> {
  for (let tries = 0; tries < 200 && heard.length === 0; tries += 1) {
    await say();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export function sessionOf(user: UserName, changes: Partial<Session> = {}): Session {
  const run = { gateway: 'g1', containerId: 'c1', execId: 'e1', mode: 'rw', startedAt: 1 } as const;
  return { id: 's1', user, ...run, persist: 'none', detachedAt: 0, record: 'off', tickets: [], ...changes };
}

export function drain(cause: Extract<Intent, { kind: 'drain' }>['cause'], containerId = 'c1'): Intent {
  return { kind: 'drain', cause, containerId };
}

export const nothing: Intent = { kind: 'none' };

export const emptyBody: StatusBody = {
  value: 'absent',
  context: {},
  step: null,
  conditions: [],
  message: 'as the test has it',
  progress: null,
  observedGeneration: 0,
  lastReap: null,
  readyAt: null,
};

const plainCommit: Omit<Commit, 'user' | 'intent' | 'version'> = {
  phase: 'ready',
  containerId: 'c1',
  containerGeneration: 1,
  keepUntil: 0,
  keepCause: '',
  body: emptyBody,
  events: [],
  mode: 'run',
};

export async function pairs(command: World['command'], key: string): Promise<[string, string][]> {
  const flat = strings(await command('HGETALL', key));
  const found: [string, string][] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) found.push([flat[i] ?? '', flat[i + 1] ?? '']);
  return found;
}

function strings(reply: unknown): string[] {
  return Array.isArray(reply) ? reply.map(String) : [];
}
