import { BoxClass } from '#shared/box-class.ts';
import { type BoxStore, createBoxStore } from '#shared/box-store.ts';
import { type Limits, noLimits } from '#shared/config.ts';
import { EngineError } from '#shared/faults.ts';
import { boxNameOf, InstallationId, keysOf, LeaseId, UserName } from '#shared/identity.ts';
import type { SimContainer } from '../support/sim-engine.ts';
import { createSimRuntime, type SimRuntime } from '../support/sim-runtime.ts';
import { createEngineLink, EventStreams } from './engine-link.ts';
import { createExecLink, SimShells } from './exec-link.ts';
import type { Fate, Weather } from './link.ts';
import { noOddities, oddRuntime } from './oddities.ts';
import { Random } from './random.ts';
import { RedisLink } from './redis-link.ts';
import { Scheduler } from './scheduler.ts';
import { startSimController } from './sim-controller.ts';
import { type SimGateway, startSimGateway } from './sim-gateway.ts';
import { createSimLog, type Fields, type Level } from './sim-log.ts';
import { SimProcess } from './sim-process.ts';
import { SimRedis } from './sim-redis.ts';
import { Watcher } from './watcher.ts';

export const idle = { detachedMs: 45_000, attachedMs: 120_000, giveWayMs: 20_000 };
const epochMs = 1_795_000_000_000;
export const image = 'spoonbox/box:sim';
const firstImageId = 'sha256:box';
export const foreignImage = 'sha256:foreign';

export const boxClass = BoxClass.parse({
  name: 'default',
  image,
  user: { uid: 1000, gid: 1000, home: '/home/spoon' },
  shell: ['/bin/bash'],
  command: ['/bin/sh'],
  limits: { memory: '1GiB', cpus: 1, pids: 64 },
  security: { capabilities: [] },
  idle: {
    detached: `${idle.detachedMs}ms`,
    attached: `${idle.attachedMs}ms`,
    giveWay: `${idle.giveWayMs}ms`,
  },
  stopGrace: '5s',
  readiness: { command: ['/bin/true'], timeout: '5s' },
});

/** A second class, so that users change theirs. */
export const largeClass: BoxClass = { ...boxClass, name: 'large', limits: { ...boxClass.limits, cpus: 2 } };

/** What may be wrong with the services for everybody. */
export const calmServices = {
  redisDown: false,
  /** share of scripts that Redis refuses, as it does when it cannot save */
  redisRefusals: 0,
  engineDown: false,
  /** every call takes up to this much longer */
  engineSlowMs: 0,
  diskFull: false,
  wakeUpLoss: 0,
  eventLoss: 0,
};

/** What needs room on the engine's disk. */
const needsDisk = new Set(['create', 'pull', 'ensureHome']);

/** How the ways of one process fare now; faults turn these, and turn them back. */
export interface Conditions {
  /** share of calls that are lost or slow */
  redisLoss: number;
  engineLoss: number;
  /** share of engine calls that are answered 404, 409 or 500 without doing anything */
  engineErrors: number;
  cutFromRedis: boolean;
}

export interface Member {
  readonly kind: 'controller' | 'gateway' | 'api';
  process: SimProcess;
  redis: RedisLink;
  readonly conditions: Conditions;
  readonly random: Random;
  gateway: SimGateway | null;
  stop: () => Promise<void>;
  /** numbers its lives */
  life: number;
}

/** Everything of one seed: the services, the processes, and who watches over the promises. */
export class World {
  readonly scheduler = new Scheduler();
  readonly random: Random;
  readonly installation = InstallationId.parse('sim');
  readonly keys = keysOf(this.installation);
  readonly users: readonly UserName[];
  readonly redis: SimRedis;
  readonly runtime: SimRuntime;
  readonly shells: SimShells;
  readonly watcher: Watcher;
  readonly controllers: Member[] = [];
  readonly gateways: Member[] = [];
  readonly api: Member;
  /** what users and operators call */
  readonly store: BoxStore;
  readonly streams = new EventStreams();
  private imageId = firstImageId;
  readonly odd = { ...noOddities };
  /** told of every line that a process logs */
  onLog: (process: string, level: Level, fields: Fields, message: string) => void = () => {};
  readonly shared = { ...calmServices, clockMs: 0 };
  private readonly policies = {
    default: [idle.detachedMs, idle.attachedMs, idle.giveWayMs],
    large: [idle.detachedMs, idle.attachedMs, idle.giveWayMs],
    '*': [idle.detachedMs, idle.attachedMs, idle.giveWayMs],
  } as const;
  private readonly classes = new Map([
    ['default', boxClass],
    ['large', largeClass],
  ]);

  /** what the boxes may take together, as the controllers that start from now on have it */
  limits: Limits = noLimits;

  constructor(seed: number, size: { controllers: number; gateways: number; users: number }) {
    this.random = new Random(seed);
    this.users = usersOf(size.users).map((name) => UserName.parse(name));
    this.redis = new SimRedis({
      clock: () => epochMs + Math.floor(this.scheduler.now()) + this.shared.clockMs,
      publish: (channel, payload) => {
        for (const member of this.members()) member.redis.hear(channel, payload);
      },
    });
    this.runtime = createSimRuntime({ installation: this.installation, clock: this.engineClock() });
    this.runtime.registry.set(image, firstImageId);
    this.runtime.engine.images.set(image, firstImageId);
    this.runtime.engine.images.set('foreign', foreignImage);
    this.shells = new SimShells(this.runtime.engine);
    this.streams.isDown = () => this.shared.engineDown;
    this.watcher = new Watcher({
      now: () => this.scheduler.now(),
      redis: this.redis,
      runtime: this.runtime,
      installation: this.installation,
      idle,
    });
    this.api = this.member('api');
    this.store = createBoxStore({
      redis: this.api.redis,
      keys: this.keys,
      policies: this.policies,
      defaultClass: 'default',
    });
    for (let index = 0; index < size.controllers; index += 1) this.controllers.push(this.member('controller'));
    for (let index = 0; index < size.gateways; index += 1) this.gateways.push(this.member('gateway'));
  }

  members(): Member[] {
    // The API's member is made before the field is set.
    return [...(this.api === undefined ? [] : [this.api]), ...this.controllers, ...this.gateways];
  }

  async startAll(): Promise<void> {
    for (const member of [...this.controllers, ...this.gateways]) await this.start(member);
  }

  /** A new life of this process: nothing of the last one is left. */
  async start(member: Member): Promise<void> {
    member.life += 1;
    const process = new SimProcess(`${member.process.name.split('#')[0]}#${member.life}`, this.scheduler);
    member.process = process;
    member.redis = this.redisLink(member, process);
    const { redis } = member;
    const weather = this.engineWeather(member);
    const { scheduler, keys, streams, runtime } = this;
    const log = createSimLog((level, fields, message) => this.onLog(process.name, level, fields, message));
    const { random } = member;
    if (member.kind === 'gateway') {
      const exec = createExecLink({
        shells: this.shells,
        engine: runtime.engine,
        scheduler,
        process,
        random,
        weather,
        unchanged: (effect) => this.watcher.unchanged(process.name, effect),
      });
      const gateway = await startSimGateway({ process, redis, exec, keys, log, random });
      member.gateway = gateway;
      member.stop = () => gateway.drain();
      return;
    }
    const link = createEngineLink({
      runtime: oddRuntime(runtime, this.odd),
      scheduler,
      process,
      random,
      weather,
      disorder: () => this.shared.eventLoss,
      streams,
    });
    const controller = startSimController({
      process,
      redis,
      runtime: this.watcher.observe(process.name, link),
      keys,
      policies: this.policies,
      classes: this.classes,
      installation: this.installation,
      limits: this.limits,
      log,
    });
    member.stop = () => controller.stop();
  }

  kill(member: Member): void {
    member.process.kill();
    member.gateway = null;
  }

  /** The registry has the image again, and the class is as it was. */
  restoreImage(): void {
    this.runtime.registry.set(image, this.imageId);
    this.classes.set('default', boxClass);
    this.classes.set('large', largeClass);
  }

  /** The tag names another image from now on: every box has drifted. */
  changeImage(): void {
    this.imageId = `${this.imageId}'`;
    this.runtime.registry.set(image, this.imageId);
    this.runtime.engine.images.set(image, this.imageId);
  }

  loseClass(): void {
    this.classes.clear();
  }

  forbidPulls(): void {
    for (const boxClass of [...this.classes.values()])
      this.classes.set(boxClass.name, { ...boxClass, pullPolicy: 'Never' });
  }

  loseImage(): void {
    this.runtime.registry.delete(image);
    this.runtime.engine.images.delete(image);
  }

  boxOf(user: UserName): SimContainer | undefined {
    return this.runtime.engine.named(boxNameOf(user));
  }

  private member(kind: Member['kind']): Member {
    const count = { api: 0, controller: this.controllers.length, gateway: this.gateways.length }[kind] + 1;
    const process = new SimProcess(`${kind}-${count}#0`, this.scheduler);
    const conditions = { redisLoss: 0, engineLoss: 0, engineErrors: 0, cutFromRedis: false };
    const random = this.random.fork();
    const member = { kind, process, conditions, random, gateway: null, stop: async () => {}, life: 0 };
    const redis = this.redisLink(member, process);
    return Object.assign(member, { redis });
  }

  private redisLink(member: { conditions: Conditions; random: Random }, process: SimProcess): RedisLink {
    const { redis, scheduler } = this;
    const { conditions, random } = member;
    const weather: Weather = {
      fate: () => {
        const drawn = random.next();
        const kind = random.next();
        if (this.shared.redisDown || conditions.cutFromRedis) return null;
        if (drawn < conditions.redisLoss) return badFate(kind);
        return drawn < conditions.redisLoss + this.shared.redisRefusals ? misconfigured : ok;
      },
    };
    return new RedisLink({ redis, scheduler, process, random, weather, loss: () => this.shared.wakeUpLoss });
  }

  private engineWeather({ conditions, random }: Member): Weather {
    return {
      fate: (operation) => {
        const drawn = random.next();
        const kind = random.next();
        if (this.shared.engineDown) return null;
        if (this.shared.diskFull && needsDisk.has(operation)) {
          return injected(operation, 500, 'failed', 'no space left on device');
        }
        if (drawn < conditions.engineLoss) return badFate(kind);
        if (drawn < conditions.engineLoss + conditions.engineErrors) {
          if (kind < 0.34) return injected(operation, 404, 'not-found', 'no such thing');
          if (kind < 0.67) return injected(operation, 409, 'conflict', 'conflict');
          // It may have done what was asked, and fail only then.
          return injected(operation, 500, 'failed', 'server error', kind > 0.83);
        }
        const { engineSlowMs } = this.shared;
        return engineSlowMs > 0 ? { is: 'slow', byMs: kind * engineSlowMs } : ok;
      },
    };
  }

  private engineClock() {
    return {
      monotonicMs: () => this.scheduler.now(),
      after: (delayMs: number, run: () => void) => this.scheduler.after(delayMs, run),
    };
  }
}

export function usersOf(count: number): string[] {
  return ['alice', 'bob', 'carol', 'dave', 'erin', 'frank', 'grace', 'heidi'].slice(0, count);
}

export function leaseId(text: string): LeaseId {
  return LeaseId.parse(text);
}

const ok: Fate = { is: 'ok' };

const misconfigured: Fate = {
  is: 'injected',
  after: false,
  error: () => new Error('MISCONF Redis is configured to save RDB snapshots, but it cannot save them'),
};

function badFate(kind: number): Fate {
  if (kind < 0.3) return { is: 'lost-before' };
  if (kind < 0.7) return { is: 'lost-after' };
  return { is: 'slow', byMs: 500 + kind * 4_000 };
}

function injected(
  operation: string,
  status: number,
  kind: 'not-found' | 'conflict' | 'failed',
  message: string,
  after = false,
): Fate {
  return { is: 'injected', after, error: () => new EngineError({ kind, operation, status, message }) };
}
