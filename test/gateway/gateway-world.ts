import { randomBytes } from 'node:crypto';
import type Docker from 'dockerode';
import { createDockerExec } from '../../gateway/src/exec/docker-exec.ts';
import type { BoxExec } from '../../gateway/src/exec/port.ts';
import { defaultConnectRates } from '../../gateway/src/connect-rate.ts';
import { type Gateway, type GatewayOptions, startGateway } from '../../gateway/src/gateway.ts';
import { defaultLimits, type GatewayLimits } from '../../gateway/src/limits.ts';
import { type AccessStore, createAccessStore } from '#shared/access-store.ts';
import { type BoxStore, createBoxStore, fromJson, userScriptKeys } from '#shared/box-store.ts';
import type { Checkout } from '#shared/checkout.ts';
import { systemClock } from '#shared/clock.ts';
import { connectDocker } from '#shared/docker.ts';
import { boxNameOf, InstallationId, keysOf, label, UserName } from '#shared/identity.ts';
import { createLogger } from '#shared/log.ts';
import { connectRedis } from '#shared/redis.ts';
import type { BoxStatus } from '#shared/status.ts';
import type { TerminalClaims } from '#shared/terminal-claims.ts';
import { signTerminalToken } from '#shared/terminal-token.ts';
import { dockerodeAt } from '../support/docker.ts';
import { startFilter } from '../support/filter.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';

/** A gateway over a real Redis, and over the engine that it is given; the tests play the controller. */
export const secret = 'a-long-random-secret-of-the-tests';
export const boxImage = process.env.SPOON_BOX_IMAGE ?? 'spoonbox/box:latest';

/** Nobody has a vault. */
export const noEnvironment: GatewayOptions['environment'] = () => Promise.resolve({ variables: {}, unreadable: [] });

const unlimited = { ...defaultConnectRates, user: { burst: 1_000_000, perSecond: 1_000_000 } };

type TokenMore = Partial<Pick<TerminalClaims, 'session' | 'mode' | 'directory' | 'record'>> & {
  readonly checkout?: Checkout;
};

export interface GatewayWorld {
  readonly redis: TestRedis;
  readonly installation: InstallationId;
  readonly store: BoxStore;
  readonly access: AccessStore;
  /** every log line of the gateways, parsed by whoever asks */
  readonly logged: string[];
  newUser(): UserName;
  gateway(options?: {
    exec?: BoxExec;
    limits?: Partial<GatewayLimits>;
    origins?: string[];
    persist?: 'none' | 'tmux';
    jobs?: Omit<NonNullable<GatewayOptions['jobs']>, 'access'>;
    environment?: GatewayOptions['environment'];
    recordings?: GatewayOptions['recordings'];
    secret?: string;
    legacyTokens?: boolean;
  }): Promise<Gateway>;
  token(user: UserName, more?: TokenMore): Promise<string>;
  /** What the leading controller would commit. */
  commit(user: UserName, status: Partial<BoxStatus>): Promise<void>;
  /** Takes the lead, as the controller with this fingerprint. */
  lead(fingerprint: string): Promise<void>;
  close(): Promise<void>;
}

export async function createGatewayWorld(defaultExec: BoxExec): Promise<GatewayWorld> {
  const redis = await startRedis();
  const logged: string[] = [];
  const log = createLogger({
    name: 'gateway',
    level: 'debug',
    destination: { write: (line) => void logged.push(line) },
  });
  const installation = InstallationId.parse(`test-${randomBytes(4).toString('hex')}`);
  const keys = keysOf(installation);
  const port = connectRedis(redis.url, log);
  const store = createBoxStore({
    redis: port,
    keys,
    policies: { '*': [1_800_000, 28_800_000] },
    defaultClass: 'default',
  });
  const access = createAccessStore({ redis: port, keys });
  const gateways: Gateway[] = [];
  const leader = 'leader-of-the-test';

  async function lead(fingerprint: string): Promise<void> {
    const args = ['take', leader, 600_000, 'test', -1, fingerprint];
    await port.run('lead', [keys.leader, keys.heartbeat, keys.marker], args);
  }

  return {
    redis,
    installation,
    store,
    access,
    lead,
    logged,
    newUser: () => UserName.parse(`gwtest-${randomBytes(5).toString('hex')}`),
    async gateway(options = {}) {
      const gateway = await startGateway({
        store,
        exec: options.exec ?? defaultExec,
        clock: systemClock,
        log,
        limits: { ...defaultLimits, connectRates: unlimited, graceMs: 20, ...options.limits },
        terminalOf: () => ({ persist: options.persist ?? 'none', record: 'off', attachedIdleMs: 28_800_000 }),
        environment: options.environment ?? noEnvironment,
        recordings: options.recordings ?? null,
        secret: options.secret ?? secret,
        vaultKeyIds: [],
        legacyTokens: options.legacyTokens ?? false,
        jobs: options.jobs ? { ...options.jobs, access } : null,
        allowedOrigins: options.origins ?? [],
        trustedProxies: [],
        bind: '127.0.0.1',
        port: 0,
        publicUrl: null,
      });
      gateways.push(gateway);
      return gateway;
    },
    async token(user, more = {}) {
      const { token } = await signTerminalToken(secret, { user, mode: 'rw', ...more });
      return token;
    },
    async commit(user, status) {
      await lead('');
      const before = (await store.read(user)).status;
      const body = JSON.stringify({
        value: null,
        context: null,
        step: status.step ?? null,
        conditions: status.conditions ?? [],
        message: status.message ?? '',
        progress: status.progress ?? null,
        observedGeneration: 1,
        lastReap: status.lastReap ?? null,
        readyAt: status.readyAt ?? null,
      });
      const record = {
        phase: status.phase ?? 'ready',
        containerId: status.containerId ?? '',
        containerGeneration: 1,
        keepUntil: 0,
        keepCause: '',
        body,
      };
      const args = [
        leader,
        before?.version ?? 0,
        JSON.stringify(record),
        '{"kind":"none"}',
        '{"*":[0,0]}',
        '[]',
        'run',
      ];
      const head = [user, keys.wakeChannel, keys.statusChannel];
      const reply = fromJson(await port.run('commit-status', userScriptKeys(keys, user), [...head, ...args]));
      if (JSON.stringify(reply).includes('refused'))
        throw new Error(`the commit was refused: ${JSON.stringify(reply)}`);
    },
    async close() {
      for (const gateway of gateways) await gateway.drain(5_000);
      await port.close();
      await redis[Symbol.asyncDispose]();
    },
  };
}

export interface Boxes {
  /** the engine itself */
  readonly docker: Docker;
  /** the engine as a gateway has it */
  readonly connect: () => ReturnType<typeof connectDocker>;
  readonly exec: BoxExec;
  /** A running box of this user; its id. With `NetworkMode: host` it reaches what listens on this machine's loopback. */
  start(user: UserName, more?: { Env?: string[]; HostConfig?: Docker.HostConfig }): Promise<string>;
  /** Commands of the processes in a box, those of the box itself left out. */
  processes(id: string): Promise<string[]>;
  close(): Promise<void>;
}

/** Set by hand, it takes all these tests through a filtering socket: `manifests/docs/filtering-socket.md`. */
const throughFilter = process.env.SPOONBOX_TEST_THROUGH_FILTER === '1';

/** Boxes on the real engine, as a controller would make them. */
export async function createBoxes(options = { throughFilter }): Promise<Boxes> {
  const docker = await dockerodeAt(process.env.DOCKER_HOST ?? null);
  const installation = InstallationId.parse(`test-${randomBytes(4).toString('hex')}`);
  const filter = options.throughFilter ? await startFilter(installation) : null;
  const connect = filter ? () => connectDocker(filter.address) : async () => docker.modem;
  const log = createLogger({ name: 'exec', level: 'silent' });
  const made: Docker.Container[] = [];
  return {
    docker,
    connect,
    exec: createDockerExec({ connect, clock: systemClock, log }),
    async start(user, more = {}) {
      const container = await docker.createContainer({
        name: boxNameOf(user),
        Image: boxImage,
        Cmd: ['sleep', 'infinity'],
        Labels: {
          [label.installation]: installation,
          [label.user]: user,
          [label.role]: 'box',
          'dev.spoonbox.test': 'gateway',
        },
        Env: ['LANG=C.UTF-8', ...(more.Env ?? [])],
        HostConfig: { Init: true, CapDrop: ['ALL'], SecurityOpt: ['no-new-privileges'], ...more.HostConfig },
      });
      made.push(container);
      await container.start();
      return container.id;
    },
    async processes(id) {
      const top = await docker.getContainer(id).top({ ps_args: '-eo pid,args' });
      const lines: string[] = top.Processes.map(([, command]: string[]) => command ?? '');
      return lines.filter((command) => !/^(\S*(docker-init|tini)\b.*|sleep infinity)$/.test(command));
    },
    async close() {
      await filter?.[Symbol.asyncDispose]();
      for (const container of made) {
        await container.remove({ force: true, v: true }).catch((error: { statusCode?: number }) => {
          if (error.statusCode !== 404) throw error;
        });
      }
    },
  };
}
