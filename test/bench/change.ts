import { Redis } from 'ioredis';
import { keysOf, InstallationId, LeaseId, type UserName } from '#shared/identity.ts';
import { createLogger } from '#shared/log.ts';
import { connectRedis } from '#shared/redis.ts';
import { userScriptKeys } from '#shared/box-store.ts';
import { startRedis } from '../support/redis.ts';
import { type Bench, runBench } from './support/bench.ts';
import { benchPolicies, benchStore, populate, userName } from './support/population.ts';
import { createRedisMeter, loadReadScript, type RedisMeter } from './support/redis-counters.ts';
import { type SimController, startSimController } from './support/sim-controller-port.ts';
import { percentile, rounded } from './support/statistics.ts';
import { samplesHead, samplesRow, tableOf, verdict } from './support/table.ts';

/**
 * What a change of one user's lease among idle boxes costs until the engine hears of it, and what the idle boxes themselves
 * cost: the controller's own code in a process of its own, a real Redis, a simulated engine. Beside it the shortest way that
 * there is (a message by Redis, one read of the box), and an installation without boxes.
 */

const goalP95Ms = 10;
const quietMs = 10_000;
const reactWithinMs = 5_000;
const resyncMs = 86_400_000;
const withBoxes = InstallationId.parse('bench');
const withoutBoxes = InstallationId.parse('bench-empty');

interface Quiet {
  readonly boxes: number;
  readonly engineCallsIdle: number;
  readonly scriptsIdle: number;
  readonly heartbeats: number;
  readonly engineCallsOfResync: number;
  readonly scriptsOfResync: number;
}

async function measure(bench: Bench, signal: AbortSignal): Promise<void> {
  const boxes = bench.number('boxes', 1_000);
  const rounds = bench.number('rounds', 200);
  const empty = await inWorld(withoutBoxes, 0, async ({ controller, meter }) => {
    return await idle(bench, 0, controller, meter);
  });
  await inWorld(withBoxes, boxes, async ({ controller, meter, url }) => {
    const filled = await idle(bench, boxes, controller, meter);
    const taken: number[] = [];
    const released: number[] = [];
    const shortest: number[] = [];
    const probe = await startProbe(url, meter);
    try {
      for (let round = 0; round <= rounds; round++) {
        signal.throwIfAborted();
        const sample = await oneChange(url, controller, userName((round * 37) % boxes));
        const shortestMs = await probe.shortestMs(userName((round * 41) % boxes));
        if (round === 0) continue;
        taken.push(sample.takenMs);
        released.push(sample.releasedMs);
        shortest.push(shortestMs);
      }
    } finally {
      probe.close();
    }
    bench.record('samplesMs', { taken, released, shortest });
    bench.record('idle', { empty, filled });
    report(bench, { boxes, empty, filled, taken, released, shortest });
  });
}

interface World {
  readonly url: string;
  readonly controller: SimController;
  readonly meter: RedisMeter;
}

async function inWorld<T>(installation: InstallationId, boxes: number, work: (world: World) => Promise<T>): Promise<T> {
  await using redis = await startRedis();
  const { url } = redis;
  const port = connectRedis(url, createLogger({ name: 'bench', level: 'warn' }));
  const meter = createRedisMeter(url, installation);
  let controller: SimController | null = null;
  try {
    await populate(benchStore(port, installation), boxes, 0);
    const settings = { redisUrl: url, installation, boxes, resyncMs, withController: true, tellCalls: true };
    controller = await startSimController(settings);
    await controller.order('settle');
    return await work({ url, controller, meter });
  } finally {
    await controller?.end();
    meter.close();
    await port.close();
  }
}

/** What happens while nothing happens, and in one resync. */
async function idle(bench: Bench, boxes: number, controller: SimController, meter: RedisMeter): Promise<Quiet> {
  bench.progress(`${boxes} idle boxes are left alone for ${quietMs / 1_000} s`);
  const [before, callsBefore] = [await meter.read(), sum((await controller.order('usage')).calls)];
  await new Promise((resolve) => setTimeout(resolve, quietMs));
  const [between, callsBetween] = [await meter.read(), sum((await controller.order('usage')).calls)];
  const { calls } = await controller.order('resync');
  const after = await meter.read();
  return {
    boxes,
    engineCallsIdle: callsBetween - callsBefore,
    scriptsIdle: between.scripts - before.scripts,
    heartbeats: between.heartbeats - before.heartbeats,
    engineCallsOfResync: sum(calls) - callsBetween,
    scriptsOfResync: after.scripts - between.scripts,
  };
}

/** Takes a lease and gives it back; for each, the time from just before it is sent until the engine is asked about the box. */
async function oneChange(
  url: string,
  controller: SimController,
  user: UserName,
): Promise<{ takenMs: number; releasedMs: number }> {
  const port = connectRedis(url, createLogger({ name: 'bench', level: 'warn' }));
  const store = benchStore(port, withBoxes);
  const id = LeaseId.parse('change');
  try {
    await store.users();
    const taken = firstCall(controller, user);
    const takenAt = process.hrtime.bigint();
    await store.take({ user, id, kind: 'job', holder: 'bench', ttlMs: 300_000, class: null });
    const takenMs = msBetween(takenAt, await taken);
    await controller.order('settle');
    const released = firstCall(controller, user);
    const releasedAt = process.hrtime.bigint();
    await store.release(user, id, 'bench');
    const releasedMs = msBetween(releasedAt, await released);
    await controller.order('settle');
    return { takenMs, releasedMs };
  } finally {
    await port.close();
  }
}

/** By the clock that all processes of a machine share. */
async function firstCall(controller: SimController, user: UserName): Promise<bigint> {
  return await new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`no call for ${user} in ${reactWithinMs} ms`)), reactWithinMs);
    controller.onCall((call) => {
      if (call.subject !== user) return;
      clearTimeout(late);
      resolve(BigInt(call.atNs));
    });
  });
}

/** The shortest way from a change to its news: a message by Redis, then one read of the box, with nothing else to do. */
async function startProbe(url: string, { client }: RedisMeter) {
  const subscriber = new Redis(url);
  const channel = 'bench-probe';
  const keys = keysOf(withBoxes);
  const policies = JSON.stringify(benchPolicies);
  const sha = await loadReadScript(client);
  await subscriber.subscribe(channel);
  return {
    async shortestMs(user: UserName): Promise<number> {
      const heard = new Promise<void>((resolve) => subscriber.once('message', () => resolve()));
      const begin = process.hrtime.bigint();
      await Promise.all([client.publish(channel, user), heard]);
      const own = userScriptKeys(keys, user);
      await client.evalsha(sha, own.length, ...own, user, keys.wakeChannel, keys.statusChannel, policies);
      return msBetween(begin, process.hrtime.bigint());
    },
    close: () => subscriber.disconnect(),
  };
}

function report(
  bench: Bench,
  found: { boxes: number; empty: Quiet; filled: Quiet; taken: number[]; released: number[]; shortest: number[] },
): void {
  const { boxes, empty, filled, taken, released, shortest } = found;
  const rows = [
    samplesRow('a message by Redis and one read, by hand', shortest),
    samplesRow(`a lease is taken, among ${boxes} idle boxes → first engine call`, taken),
    samplesRow('a lease is given back → first engine call', released),
  ];
  bench.say(tableOf(['ms', ...samplesHead.slice(1)], rows));
  const p95 = percentile([...taken, ...released], 0.95);
  bench.say(`\nfirst engine call, p95: ${verdict(p95, goalP95Ms, `${rounded(p95)} ms`)}\n`);
  const quietS = quietMs / 1_000;
  const counts = [
    [`engine calls in ${quietS} s without a resync`, empty.engineCallsIdle, filled.engineCallsIdle],
    [`scripts in Redis in ${quietS} s, without heartbeats`, empty.scriptsIdle, filled.scriptsIdle],
    [`heartbeats of the leader in ${quietS} s`, empty.heartbeats, filled.heartbeats],
    ['engine calls of one resync', empty.engineCallsOfResync, filled.engineCallsOfResync],
    ['scripts in Redis of one resync, without heartbeats', empty.scriptsOfResync, filled.scriptsOfResync],
  ].map((row) => row.map(String));
  bench.say(tableOf(['', 'no box', `${boxes} idle boxes`], counts));
}

function sum(calls: Readonly<Record<string, number>>): number {
  return Object.values(calls).reduce((total, count) => total + count, 0);
}

function msBetween(begin: bigint, end: bigint): number {
  return Number(end - begin) / 1e6;
}

await runBench('change', measure);
