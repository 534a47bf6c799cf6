import { Redis } from 'ioredis';
import type { BoxClass, BoxClasses } from '#shared/box-class.ts';
import { createBoxStore } from '#shared/box-store.ts';
import { loadClasses } from '#shared/classes.ts';
import { noLimits } from '#shared/config.ts';
import type { Finding } from '#shared/finding.ts';
import { keysOf } from '#shared/identity.ts';
import { createLogger } from '#shared/log.ts';
import { connectRedis } from '#shared/redis.ts';
import { readRedisServer } from '#shared/redis-server.ts';
import { secretFingerprint } from '#shared/terminal-token.ts';
import { createVaultKeys } from '#shared/vault-seal.ts';
import { createVaultStore, type VaultStore } from '#shared/vault-store.ts';
import { version } from '#shared/version.ts';
import type { Check, CheckDeps, DoctorConfig } from '../../controller/src/doctor/check.ts';
import { connectHostEngine } from '../../controller/src/runtime/host-engine.ts';
import { createHomeStore, type HomeStore } from '../../controller/src/store/home-store.ts';
import { createLeaderStore, type LeaderStore } from '../../controller/src/store/leader-store.ts';
import { boxImage, createDockerWorld, type DockerWorld } from '../support/docker.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';

/** What a controller's examination stands on: a real Redis and a real engine, and a configuration that nothing speaks against. */
export interface DoctorWorld extends AsyncDisposable {
  readonly docker: DockerWorld;
  readonly redis: TestRedis;
  readonly leaderStore: LeaderStore;
  readonly homes: HomeStore;
  readonly classes: BoxClasses;
  readonly config: DoctorConfig;
  /** The installation's vaults, of a process with this encryption key. */
  vaultWith(key: string): VaultStore;
  readonly deps: Omit<CheckDeps, 'engine'>;
  /** A command to Redis itself. */
  tell(...command: [string, ...string[]]): Promise<void>;
  /** One gateway that lives, with this secret's fingerprint. */
  gateway(of?: { secret?: string; version?: string; ttlMs?: number; vaultKeyIds?: readonly string[] }): Promise<void>;
  /** What one check finds, as `verdict check: found`. */
  run(check: Check, changes?: Partial<Omit<CheckDeps, 'engine'>>): Promise<string[]>;
}

export const never = new AbortController().signal;

export async function createDoctorWorld(): Promise<DoctorWorld> {
  const docker = await createDockerWorld();
  const redis = await startRedis();
  const log = createLogger({ name: 'test', level: 'silent' });
  const { installation, workdir } = docker;
  const keys = keysOf(installation);
  const port = connectRedis(redis.url, log);
  const store = createBoxStore({ redis: port, keys, policies: {}, defaultClass: 'default' });
  const leaderStore = createLeaderStore(port, keys);
  const homes = createHomeStore({ redis: port, keys });
  const classesDir = new URL('../../manifests/classes', import.meta.url).pathname;
  const classes = loadClasses(classesDir, { boxImage, boxIdleMs: null });
  const config: DoctorConfig = {
    ...{ workdir, hostWorkdir: workdir, publicWsUrl: null, publicUrl: 'http://127.0.0.1:3922', warnings: [] },
    limits: noLimits,
    internalToken: 'b5f1c2a86de04973a1',
    terminalSecret: '70c4e9d2ab8816f35e',
    encryptionKey: 'e81b37f0c95da2466c',
  };
  const vaultWith = (key: string): VaultStore =>
    createVaultStore({ redis: port, keys, seal: createVaultKeys({ current: key, previous: [] }) });
  const deps: DoctorWorld['deps'] = {
    ...{ config, classes, installation, store, homes, leaderStore },
    vault: vaultWith(config.encryptionKey ?? ''),
    wallClockMs: () => Date.now(),
    readRedis: () => readRedisServer(redis.url),
    connect: () =>
      connectHostEngine({ dockerHost: process.env.DOCKER_HOST ?? null, ...docker, hostWorkdir: workdir, log }),
  };
  return {
    ...{ docker, redis, leaderStore, homes, classes, config, vaultWith, deps },
    async tell(...command) {
      const connection = new Redis(redis.url);
      await connection.call(...command);
      connection.disconnect();
    },
    async gateway({
      secret = config.terminalSecret,
      version: its = version,
      ttlMs = 60_000,
      vaultKeyIds = deps.vault.keyIds,
    } = {}) {
      const record = { id: 'g1', address: 'ws://127.0.0.1:3921', fingerprint: secretFingerprint(secret) };
      await store.registerGateway({ ...record, version: its, vaultKeyIds: vaultKeyIds.join(',') }, ttlMs);
    },
    async run(check, changes = {}) {
      const all = { ...deps, ...changes };
      const found = await check.run({ ...all, engine: () => all.connect() }, never);
      return found.map(lineOf);
    },
    async [Symbol.asyncDispose]() {
      await port.close();
      await appendOnlyStands(redis.url);
      await redis[Symbol.asyncDispose]();
      await docker.dispose();
    },
  };
}

/** A server that writes its first append-only file does not end when it is told to. */
async function appendOnlyStands(url: string): Promise<void> {
  const connection = new Redis(url);
  while (!/aof_rewrite_in_progress:0\s+aof_rewrite_scheduled:0/.test(await connection.info('persistence'))) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  connection.disconnect();
}

export function lineOf({ verdict, check, found }: Finding): string {
  return `${verdict} ${check}: ${found}`;
}

/** A class that differs from the default one in this. */
export function classesWith(classes: BoxClasses, changes: Partial<BoxClass>): BoxClasses {
  const boxClass = classes.get('default');
  if (boxClass === undefined) throw new Error('there is no default class');
  return new Map([['default', { ...boxClass, ...changes }]]);
}
