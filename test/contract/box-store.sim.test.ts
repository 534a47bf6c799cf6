import type { RedisPort } from '#shared/redis-port.ts';
import type { Weather } from '../sim/link.ts';
import { Random } from '../sim/random.ts';
import { RedisLink } from '../sim/redis-link.ts';
import { Scheduler } from '../sim/scheduler.ts';
import { SimProcess } from '../sim/sim-process.ts';
import { SimRedis } from '../sim/sim-redis.ts';
import { boxStoreContract } from './box-store.ts';
import type { RedisHarness } from './box-store-world.ts';

const epochMs = 1_795_000_000_000;
const fair: Weather = { fate: () => ({ is: 'ok' }) };

/** The simulation must not drift from the truth: what a real Redis has to pass, this one passes too. */
boxStoreContract('the state in the simulated Redis', async (): Promise<RedisHarness> => {
  const scheduler = new Scheduler();
  const links: RedisLink[] = [];
  const redis = new SimRedis({
    clock: () => epochMs + Math.floor(scheduler.now()),
    publish: (channel, payload) => {
      for (const link of links) link.hear(channel, payload);
    },
  });
  // The suite waits in real time; virtual time goes with it.
  const begun = performance.now();
  let running = false;
  const timer = setInterval(() => {
    if (running) return;
    running = true;
    void scheduler
      .run(performance.now() - begun, () => {})
      .then(() => {
        running = false;
      });
  }, 1);
  return {
    connect(): RedisPort {
      const process = new SimProcess(`client-${links.length}`, scheduler);
      const link = new RedisLink({ redis, scheduler, process, random: new Random(1), weather: fair, loss: () => 0 });
      links.push(link);
      return portOf(link);
    },
    command: async (...words) => plain(redis.command(words)),
    async restart() {
      redis.restart(redis.copy());
      for (const link of links) link.reconnected();
    },
    flush: async () => redis.flush(),
    dispose: async () => clearInterval(timer),
  };
});

/** The port's own methods only, so that it can be spread as the one of ioredis. */
function portOf(link: RedisLink): RedisPort {
  return {
    run: (script, keys, args) => link.run(script, keys, args),
    hashValues: (key) => link.hashValues(key),
    streamTail: (key, count) => link.streamTail(key, count),
    streamAfter: (key, id, count) => link.streamAfter(key, id, count),
    runId: () => link.runId(),
    subscribe: (channel, onMessage, onGap) => link.subscribe(channel, onMessage, onGap),
    close: () => link.close(),
  };
}

/** As a client gets it: a status is its text. */
function plain(reply: ReturnType<SimRedis['command']>): unknown {
  return typeof reply === 'object' && reply !== null && 'ok' in reply ? reply.ok : reply;
}
