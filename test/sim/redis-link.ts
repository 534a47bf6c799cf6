import type { RedisPort } from '#shared/redis-port.ts';
import { Link, type Weather } from './link.ts';
import type { Random } from './random.ts';
import type { Scheduler } from './scheduler.ts';
import type { SimProcess } from './sim-process.ts';
import type { SimRedis } from './sim-redis.ts';
import { entriesAfter } from './sim-stream.ts';

const commandTimeoutMs = 5_000;

interface Listener {
  readonly channel: string;
  readonly onMessage: (payload: string) => void;
  readonly onGap: () => void;
}

/** One process's connection to the simulated Redis: what is published reaches it later, out of order, twice or never. */
export class RedisLink implements RedisPort {
  private readonly redis: SimRedis;
  private readonly link: Link;
  private readonly process: SimProcess;
  private readonly scheduler: Scheduler;
  private readonly random: Random;
  private readonly listeners = new Set<Listener>();
  /** share of messages that are lost, and that come twice */
  private readonly loss: () => number;

  constructor(options: {
    redis: SimRedis;
    scheduler: Scheduler;
    process: SimProcess;
    random: Random;
    weather: Weather;
    loss: () => number;
  }) {
    const { redis, scheduler, process, random, weather } = options;
    this.redis = redis;
    this.process = process;
    this.scheduler = scheduler;
    this.random = random;
    this.loss = options.loss;
    const lostError = (): Error => new Error('Connection is closed.');
    this.link = new Link({ scheduler, process, random, weather, lostError, giveUpMs: commandTimeoutMs });
  }

  run(script: Parameters<RedisPort['run']>[0], keys: readonly string[], args: readonly (string | number)[]) {
    return this.link.call(script, 0.2, () => this.redis.run(script, keys, args.map(String)));
  }

  hashValues(key: string): Promise<string[]> {
    return this.link.call('hvals', 0.1, () => [...this.redis.hash(key).values()]);
  }

  streamTail(key: string, count: number): Promise<{ id: string; fields: string[] }[]> {
    return this.link.call('xrevrange', 0.1, () =>
      this.redis
        .stream(key)
        .toReversed()
        .slice(0, count)
        .map(({ id, fields }) => ({ id, fields: [...fields] })),
    );
  }

  streamAfter(key: string, id: string, count: number): Promise<{ id: string; fields: string[] }[]> {
    return this.link.call('xrange', 0.1, () =>
      entriesAfter(this.redis.stream(key), id)
        .slice(0, count)
        .map((entry) => ({ id: entry.id, fields: [...entry.fields] })),
    );
  }

  runId(): Promise<string> {
    return this.link.call('info', 0.1, () => this.redis.runId());
  }

  async subscribe(channel: string, onMessage: (payload: string) => void, onGap: () => void) {
    const listener = { channel, onMessage, onGap };
    this.listeners.add(listener);
    return async () => {
      this.listeners.delete(listener);
    };
  }

  async close(): Promise<void> {
    this.listeners.clear();
  }

  /** How many subscriptions stand. */
  listening(): number {
    return this.listeners.size;
  }

  /** Something was published. */
  hear(channel: string, payload: string): void {
    for (const listener of this.listeners) {
      if (listener.channel !== channel) continue;
      const times = this.random.chance(this.loss()) ? this.random.pick([0, 0, 2]) : 1;
      for (let time = 0; time < times; time += 1) {
        const tell = (): void => {
          if (this.listeners.has(listener)) listener.onMessage(payload);
        };
        this.scheduler.after(this.random.next() * 3, () => this.process.enter(tell));
      }
    }
  }

  /** The connection stands again: messages may have been missed. */
  reconnected(): void {
    for (const listener of this.listeners) this.process.enter(() => listener.onGap());
  }
}
