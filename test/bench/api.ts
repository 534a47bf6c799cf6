import { Agent, type ClientRequest, get } from 'node:http';
import { sleep, systemClock } from '#shared/clock.ts';
import { InstallationId, keysOf, type UserName } from '#shared/identity.ts';
import { createLogger } from '#shared/log.ts';
import { connectRedis } from '#shared/redis.ts';
import { createLeaderStore } from '../../controller/src/store/leader-store.ts';
import { createStatusStore, type StatusStore } from '../../controller/src/store/status-store.ts';
import { startRedis } from '../support/redis.ts';
import { startApiServer } from './support/api-server-port.ts';
import { type Bench, runBench } from './support/bench.ts';
import { benchPolicies, benchStore, populate, userName } from './support/population.ts';
import { cpuSecondsOf, residentBytesOf } from './support/process-usage.ts';
import { type Reads, readSteadily } from './support/reads.ts';
import { percentile, rounded } from './support/statistics.ts';
import { samplesHead, samplesRow, tableOf, verdict } from './support/table.ts';

/**
 * 200 watches of all boxes and 500 reads a second of the API, while boxes change in Redis: how long a read takes, and how long
 * it is from a change to its event at a watch. Beside it, in the same run, the same rate of reads of one bare fastify route.
 */

const goalP99Ms = 50;
const watchCount = 200;
const readsPerS = 500;
const changesPerS = 20;
const readSockets = 64;
const settleMs = 1_000;
const token = 'bench-token-0123456789';
const leaderToken = 'the-leader-of-the-benchmark';
const installation = InstallationId.parse('bench');

const headers = { authorization: `Bearer ${token}` };

interface Watches {
  /** ms from just before a change was written to its event, of every watch */
  readonly lagMs: number[];
  readonly lost: () => number;
  close(): void;
}

/** Opens the watches one after the other; each waits for its full state. */
async function openWatches(url: string, sentAt: ReadonlyMap<string, number>): Promise<Watches> {
  const lagMs: number[] = [];
  const requests: ClientRequest[] = [];
  let lost = 0;
  let closing = false;
  for (let n = 0; n < watchCount; n += 1) {
    await new Promise<void>((resolve, reject) => {
      const request = get(`${url}/v1/boxes?watch=1`, { headers, agent: false }, (response) => {
        let rest = '';
        response.setEncoding('latin1');
        response.on('data', (chunk: string) => {
          const now = performance.now();
          rest += chunk;
          const whole = rest.lastIndexOf('\n\n');
          if (whole < 0) return;
          const text = rest.slice(0, whole);
          rest = rest.slice(whole);
          for (const [, change = ''] of text.matchAll(/"message":"(change \d+)"/g)) {
            const at = sentAt.get(change);
            if (at !== undefined) lagMs.push(now - at);
          }
          if (text.includes('event: synced')) resolve();
        });
        response.once('close', () => {
          if (!closing) lost += 1;
        });
      });
      request.on('error', (error) => (closing ? undefined : reject(error)));
      requests.push(request);
    });
  }
  return {
    lagMs,
    lost: () => lost,
    close() {
      closing = true;
      for (const request of requests) request.destroy();
    },
  };
}

interface Churn {
  readonly statusStore: StatusStore;
  readonly boxes: number;
  readonly forMs: number;
  /** of the status of each box, as this benchmark wrote it */
  readonly versions: Map<UserName, number>;
  /** when each change was begun, by its message */
  readonly sentAt: Map<string, number>;
}

/** Changes one box after the other, as the reconciler writes them. Answers with how many it changed. */
async function churn(on: Churn, signal: AbortSignal): Promise<number> {
  const startedAt = performance.now();
  let changed = 0;
  for (; changed < (changesPerS * on.forMs) / 1_000; changed += 1) {
    const waitMs = startedAt + (changed * 1_000) / changesPerS - performance.now();
    if (waitMs > 0) await sleep(systemClock, waitMs, signal);
    const user = userName(changed % on.boxes);
    const message = `change ${changed}`;
    on.sentAt.set(message, performance.now());
    const version = on.versions.get(user) ?? 0;
    const body = {
      ...{ value: null, context: null, step: 'active' as const, conditions: [], message, progress: null },
      ...{ observedGeneration: 0, lastReap: null, readyAt: 1 },
    };
    const result = await on.statusStore.commit(leaderToken, {
      ...{ user, version, body, phase: 'ready', containerId: 'c', containerGeneration: 0, keepUntil: 0, keepCause: '' },
      intent: { kind: 'none' },
      mode: 'run',
      events: [{ reason: 'Probed', message }],
    });
    if (!result.ok) throw new Error(`a change was refused: ${JSON.stringify(result)}`);
    on.versions.set(user, version + 1);
  }
  return changed;
}

async function measure(bench: Bench, redisUrl: string, signal: AbortSignal): Promise<void> {
  const boxes = bench.number('boxes', 100);
  const forMs = bench.number('seconds', 60) * 1_000;
  const redis = connectRedis(redisUrl, createLogger({ name: 'bench', level: 'warn' }));
  const keys = keysOf(installation);
  const store = benchStore(redis, installation);
  const statusStore = createStatusStore({ redis, keys, policies: benchPolicies });
  const leaderStore = createLeaderStore(redis, keys);
  await leaderStore.take({ token: leaderToken, ttlMs: 3_600_000, holder: 'bench', fingerprint: '' }, 0);
  await leaderStore.mark(leaderToken, await redis.runId());
  await populate(store, boxes, 2);

  const changing = { statusStore, boxes, versions: new Map<UserName, number>(), sentAt: new Map<string, number>() };
  const bareAnswer = await store.read(userName(0));
  await using server = await startApiServer({ redisUrl, installation, token, bareAnswer });
  const agent = new Agent({ keepAlive: true, maxSockets: readSockets });
  const common = { agent, perS: readsPerS, headers };

  bench.progress('the bare route');
  const bare = await readSteadily({ ...common, forMs: forMs / 3, urlOf: () => `${server.bareUrl}/bare` }, signal);
  bench.progress(`${watchCount} watches`);
  const watches = await openWatches(server.apiUrl, changing.sentAt);
  await sleep(systemClock, settleMs, signal);
  bench.progress(`${readsPerS} reads/s for ${forMs / 1_000} s`);
  const beganAt = performance.now();
  const cpuBefore = await cpuSecondsOf(server.pid);
  const [reads, changed] = await Promise.all([
    readSteadily({ ...common, forMs, urlOf: (n) => server.apiUrl + pathOf(n, boxes) }, signal),
    churn({ ...changing, forMs }, signal),
  ]);
  const cpuS = (await cpuSecondsOf(server.pid)) - cpuBefore;
  const tookMs = performance.now() - beganAt;
  await sleep(systemClock, settleMs, signal);
  const rssMiB = (await residentBytesOf(server.pid)) / 2 ** 20;
  watches.close();
  agent.destroy();
  await redis.close();
  report({ reads, bare, lagMs: watches.lagMs, changed, lost: watches.lost(), cpuS, rssMiB, tookMs });

  function report(on: {
    reads: Reads;
    bare: Reads;
    lagMs: number[];
    changed: number;
    lost: number;
    cpuS: number;
    rssMiB: number;
    tookMs: number;
  }): void {
    const rows = [
      samplesRow('a bare fastify route', on.bare.tookMs),
      samplesRow('reads of the API', on.reads.tookMs),
      samplesRow('from a change to its event', on.lagMs),
    ];
    bench.say(tableOf(['ms', ...samplesHead.slice(1)], rows));
    const p99 = percentile(on.reads.tookMs, 0.99);
    const ratio = (p: number): string => rounded(percentile(on.reads.tookMs, p) / percentile(on.bare.tookMs, p));
    bench.say(`\nreads, p99: ${verdict(p99, goalP99Ms, `${rounded(p99)} ms`)}`);
    bench.say(`reads of the API by a bare route: p50 ${ratio(0.5)} ×, p99 ${ratio(0.99)} ×`);
    bench.say(
      `${on.changed} changes at ${watchCount} watches: ${on.lagMs.length} events, ${on.lost} watches lost; ${on.reads.failed} of ${on.reads.tookMs.length} reads failed`,
    );
    bench.say(
      `the API: ${rounded((on.cpuS * 100_000) / on.tookMs)} % of a processor (${rounded((on.cpuS * 1_000) / on.reads.tookMs.length)} ms for each read and its share of the events), ${rounded(on.rssMiB)} MiB resident`,
    );
    bench.record('results', { ...on, reads: on.reads.tookMs, bare: on.bare.tookMs });
  }
}

/** Mostly one box; one in twenty-five reads is a list of 20, and one the events of a box. */
function pathOf(n: number, boxes: number): string {
  if (n % 25 === 7) return '/v1/boxes?limit=20';
  const user = userName((n * 7) % boxes);
  return n % 25 === 19 ? `/v1/boxes/${user}/events?limit=20` : `/v1/boxes/${user}`;
}

await runBench('api', async (bench, signal) => {
  await using redis = await startRedis();
  await measure(bench, redis.url, signal);
});
