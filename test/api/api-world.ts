import { type Limits, noLimits } from '#shared/config.ts';
import { Writable } from 'node:stream';
import { Redis } from 'ioredis';
import {
  type ApiAnswer,
  type ApiConfig,
  type ApiHealth,
  createApi,
  type RunningApi,
} from '../../controller/src/api/api.ts';
import type { WatchLimits } from '../../controller/src/api/event-stream.ts';
import { BoxClass, type BoxClasses } from '#shared/box-class.ts';
import { type BoxStore, createBoxStore, fromJson, userScriptKeys } from '#shared/box-store.ts';
import { type Clock, systemClock } from '#shared/clock.ts';
import { InstallationId, keysOf, UserName } from '#shared/identity.ts';
import { Session } from '#shared/lease.ts';
import { createLogger } from '#shared/log.ts';
import type { RedisPort } from '#shared/redis-port.ts';
import { connectRedis } from '#shared/redis.ts';
import type { Phase, StatusBody } from '#shared/status.ts';
import { createVaultKeys } from '#shared/vault-seal.ts';
import { createVaultStore } from '#shared/vault-store.ts';
import { createLeaderStore } from '../../controller/src/store/leader-store.ts';
import { onlookingParts } from '../support/onlooking-parts.ts';
import { answerCheck } from '../support/answer-check.ts';
import { patienceMs } from '../support/patience.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { createSimRuntime, type SimRuntime } from '../support/sim-runtime.ts';

export const token = 'test-token-0123456789';
export const secret = 'test-terminal-secret-0123456789';
type VaultSecrets = Parameters<typeof createVaultKeys>[0];
export const vaultKey: VaultSecrets = { current: 'test-vault-secret-0123456789', previous: [] };
const leaderToken = 'the-leader-of-this-test';
const policies = {
  default: [1_800_000, 28_800_000],
  small: [60_000, 3_600_000],
  '*': [1_800_000, 28_800_000],
} as const;

export type StatusFields = Partial<StatusBody> & {
  phase: Phase;
  containerId?: string;
  containerGeneration?: number;
  keepUntil?: number;
  keepCause?: string;
};

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: unknown;
}

export interface ApiWorld {
  readonly redis: TestRedis;
  readonly store: BoxStore;
  /** the engine that plans and usage are read from; nothing changes it but the test */
  readonly runtime: SimRuntime;
  readonly api: RunningApi;
  readonly url: string;
  readonly health: { ok: boolean; reasons: string[] };
  /** of the state in Redis */
  readonly reads: { count: number };
  /** every log line so far */
  readonly logged: string[];
  /** One more process on the same Redis. */
  another(
    changes?: Partial<ApiConfig> & { vaultSecrets?: VaultSecrets | null },
  ): Promise<{ readonly url: string; close(): Promise<void> }>;
  /** What Redis says of this token happened `ms` longer ago. */
  passTokenTime(id: string, ms: number): Promise<void>;
  /** All keys, and what hashes and strings hold. */
  dump(): Promise<string>;
  /** Writes a status as the reconciler would: as the leader, with the version it read. */
  commit(user: string, status: StatusFields): Promise<void>;
  /** One more event of this box, as a gateway tells it. */
  happen(user: string, message: string): Promise<void>;
  /** After a delete, as the reconciler would once no container is left. */
  forget(user: string): Promise<void>;
  ask(
    method: string,
    path: string,
    options?: { body?: unknown; raw?: string; headers?: Record<string, string> },
  ): Promise<Answer>;
  close(): Promise<void>;
}

/** The real API on a real Redis, whose every answer is checked by its own OpenAPI document. What is missing is the reconciler: tests write its status with the same scripts. */
export async function createApiWorld(
  options: {
    watchLimits?: WatchLimits;
    publicWsUrl?: string;
    gatewayPort?: number;
    publicUrl?: string;
    apiRequestsPerS?: number;
    limits?: Limits;
    clock?: Clock;
  } = {},
): Promise<ApiWorld> {
  const redis = await startRedis();
  const logged: string[] = [];
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      logged.push(chunk.toString());
      done();
    },
  });
  const log = createLogger({ name: 'api-test', level: 'debug', destination });
  const installation = InstallationId.parse('test');
  const keys = keysOf(installation);
  const runtime = createSimRuntime({ installation, clock: systemClock });
  const port = connectRedis(redis.url, log);
  const realStore = createBoxStore({ redis: port, keys, policies, defaultClass: 'default' });
  const reads = { count: 0 };
  const store: BoxStore = {
    ...realStore,
    read(user) {
      reads.count += 1;
      return realStore.read(user);
    },
  };
  const health = { ok: true, reasons: [] as string[] };
  const apiHealth: ApiHealth = { ready: () => health, leader: () => ({ leads: true, holder: 'test' }) };
  const vaultOf = (secrets: VaultSecrets | null) =>
    createVaultStore({ redis: port, keys, seal: secrets === null ? null : createVaultKeys(secrets) });
  const undeclared: unknown[] = [];
  const parts = {
    onAnswer(answer: ApiAnswer) {
      try {
        check ??= answerCheck(api.openApi());
        check(answer);
      } catch (error) {
        undeclared.push(error);
      }
    },
    store,
    redis: port,
    keys,
    classes: testClasses,
    config: {
      internalToken: token,
      terminalSecret: secret,
      publicWsUrl: options.publicWsUrl ?? null,
      gatewayPort: options.gatewayPort ?? 3921,
      publicUrl: options.publicUrl ?? 'http://127.0.0.1:3922',
      trustedProxies: [],
      apiRequestsPerS: options.apiRequestsPerS ?? 10_000,
      limits: options.limits ?? noLimits,
    },
    health: apiHealth,
    log,
    clock: options.clock ?? systemClock,
    vault: vaultOf(vaultKey),
    ...onlookingParts({
      ...{ store: realStore, leaderStore: createLeaderStore(port, keys), runtime },
      ...{ classes: testClasses, installation },
    }),
    ...(options.watchLimits ? { watchLimits: options.watchLimits } : {}),
  };
  let check: ((answer: ApiAnswer) => void) | null = null;
  const api = createApi(parts);
  const url = await api.listen('127.0.0.1', 0);
  await port.run('lead', [keys.leader, keys.heartbeat, keys.marker], ['take', leaderToken, 600_000, 'test', 0, '']);

  return {
    redis,
    store,
    runtime,
    api,
    url,
    health,
    reads,
    logged,
    async another({ vaultSecrets = vaultKey, ...changes } = {}) {
      const config = { ...parts.config, ...changes };
      const other = createApi({ ...parts, config, vault: vaultOf(vaultSecrets) });
      const at = await other.listen('127.0.0.1', 0);
      return { url: at, close: () => other.close() };
    },
    async passTokenTime(id, ms) {
      const command = new Redis(redis.url);
      const record = JSON.parse((await command.hget(keys.apiTokens, id)) ?? '');
      record.expiresAt -= ms;
      await command.hset(keys.apiTokens, id, JSON.stringify(record));
      command.disconnect();
    },
    async dump() {
      const command = new Redis(redis.url);
      const found: unknown[] = [];
      for (const key of await command.keys('*')) {
        const type = await command.type(key);
        found.push(
          key,
          type === 'hash' ? await command.hgetall(key) : type === 'string' ? await command.get(key) : null,
        );
      }
      command.disconnect();
      return JSON.stringify(found);
    },
    async commit(user, status) {
      await runCommit(port, keys, UserName.parse(user), realStore, status, { kind: 'none', cause: '' });
    },
    async happen(user, message) {
      const shell = { gateway: 'g1', containerId: 'c1', execId: 'e1', mode: 'rw', startedAt: 1 };
      await realStore.claimSession(Session.parse({ id: 's', user, ...shell }), true, message);
    },
    async forget(user) {
      await runCommit(
        port,
        keys,
        UserName.parse(user),
        realStore,
        { phase: 'absent' },
        { kind: 'forget', cause: 'deleted' },
      );
    },
    async ask(method, path, { body, raw, headers } = {}) {
      const payload = raw ?? (body === undefined ? null : JSON.stringify(body));
      const response = await fetch(url + path, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(payload === null ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        body: payload,
      });
      const text = await response.text();
      return {
        status: response.status,
        headers: response.headers,
        text,
        json: /json/.test(response.headers.get('content-type') ?? '') && text !== '' ? JSON.parse(text) : null,
      };
    },
    async close() {
      await api.close();
      await port.close();
      if (undeclared.length > 0) throw undeclared[0];
      await redis[Symbol.asyncDispose]();
    },
  };
}

async function runCommit(
  port: RedisPort,
  keys: ReturnType<typeof keysOf>,
  user: UserName,
  store: BoxStore,
  status: StatusFields,
  intent: { kind: string; cause: string },
): Promise<void> {
  const record = await store.read(user);
  const { phase, containerId = '', containerGeneration, keepUntil = 0, keepCause = '', ...given } = status;
  const body: StatusBody = {
    value: null,
    context: null,
    step: null,
    conditions: [],
    message: '',
    progress: null,
    observedGeneration: record.desired?.generation ?? 0,
    lastReap: null,
    readyAt: null,
    ...given,
  };
  const stored = {
    phase,
    containerId,
    containerGeneration: containerGeneration ?? record.desired?.generation ?? 0,
    keepUntil,
    keepCause,
    body: JSON.stringify(body),
  };
  const reply = fromJson(
    await port.run('commit-status', userScriptKeys(keys, user), [
      user,
      keys.wakeChannel,
      keys.statusChannel,
      leaderToken,
      record.status?.version ?? 0,
      JSON.stringify(stored),
      JSON.stringify(intent),
      JSON.stringify(policies),
      '[]',
      record.mode.mode,
    ]),
  );
  if (typeof reply !== 'object' || reply === null || 'refused' in reply) {
    throw new Error(`the commit was refused: ${JSON.stringify(reply)}`);
  }
}

function testClass(name: string, detached: string, attached: string): BoxClass {
  return BoxClass.parse({
    name,
    image: `spoonbox/${name}:latest`,
    user: { uid: 1000, gid: 1000, home: '/home/spoon' },
    shell: ['/bin/bash'],
    command: ['sleep', 'infinity'],
    limits: { memory: '4GiB', cpus: 2, pids: 1024 },
    security: { capabilities: [] },
    idle: { detached, attached },
    stopGrace: '15s',
    readiness: { command: ['true'], timeout: '10s' },
  });
}

export const testClasses: BoxClasses = new Map([
  ['default', testClass('default', '30m', '8h')],
  ['small', testClass('small', '1m', '1h')],
]);

export async function until<Value>(
  look: () => Promise<Value | undefined | false> | Value | undefined | false,
  what: string,
): Promise<Value> {
  const giveUpAt = performance.now() + patienceMs;
  while (performance.now() < giveUpAt) {
    const value = await look();
    if (value !== undefined && value !== false) return value;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`did not happen within ${patienceMs} ms: ${what}`);
}

/** An end takes two seconds at most on an idle machine. One that hangs takes the half minute of a request, or for ever. */
const hangsMs = 20_000;

/** How it ended. Without this, a hang would be told by the clean-up. */
export async function howItEnds(end: Promise<void>): Promise<string> {
  const late = new Promise<string>((resolve) => setTimeout(resolve, hangsMs, 'it hangs'));
  return await Promise.race([end.then(() => 'it ended'), late]);
}
