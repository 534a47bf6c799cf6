import { z } from 'zod';
import { createLogger } from '#shared/log.ts';
import { boxNameOf, InstallationId, keysOf, label, networkNameOf } from '#shared/identity.ts';
import { connectRedis } from '#shared/redis.ts';
import { userScriptKeys } from '#shared/box-store.ts';
import { specOf } from '../../controller/src/box/spec.ts';
import { defaultClassName } from '#shared/classes.ts';
import { ListedContainer, viewOfListed } from '../../controller/src/runtime/container-view.ts';
import { startRedis } from '../support/redis.ts';
import { type Bench, runBench } from './support/bench.ts';
import { benchClasses, benchPolicies, benchStore, populate, userName } from './support/population.ts';
import { createRedisMeter, loadReadScript, type RedisMeter } from './support/redis-counters.ts';
import { type SimController, startSimController } from './support/sim-controller-port.ts';
import { largest, median, rounded } from './support/statistics.ts';
import { samplesHead, samplesRow, tableOf, verdict } from './support/table.ts';

/**
 * One full resync over many boxes: the controller's own code in a process of its own, a real Redis, a simulated engine. Beside
 * it the same reads by a bare client, and what the Docker adapter would spend on a list of as many containers.
 */

const goalCpuMs = 3_000;
const goalRssMb = 300;
const heldEvery = 5;
const readsAtOnce = 200;
const installation = InstallationId.parse('bench');
const resyncMs = 86_400_000;

interface Round {
  readonly controllerCpuMs: number;
  readonly tookMs: number;
  readonly redisCpuMs: number;
  readonly scripts: number;
  readonly rssMb: number;
  readonly bareCpuMs: number;
  readonly bareRedisCpuMs: number;
  readonly listCpuMs: number;
}

async function measure(bench: Bench, redisUrl: string, meter: RedisMeter, signal: AbortSignal): Promise<void> {
  const boxes = bench.number('boxes', 10_000);
  const rounds = bench.number('rounds', 5);
  const log = createLogger({ name: 'bench', level: 'warn' });
  const redis = connectRedis(redisUrl, log);
  const settings = { redisUrl, installation, boxes, resyncMs, tellCalls: false };
  await populate(benchStore(redis, installation), boxes, heldEvery);
  bench.progress(`${boxes} users are in Redis`);

  const alone = await startSimController({ ...settings, withController: false });
  const { rssBytes: simRss } = await alone.order('usage');
  await alone.end();

  const controller = await startSimController({ ...settings, withController: true });
  try {
    const first = await controller.order('settle');
    bench.progress('the controller has taken all boxes over');
    const done: Round[] = [];
    for (let round = 0; round <= rounds; round++) {
      signal.throwIfAborted();
      const taken = await takeRound(controller, meter, boxes);
      if (round > 0) done.push(taken);
      bench.progress(`round ${round} of ${rounds}`);
    }
    const { peakRssBytes, calls } = await controller.order('usage');
    bench.record('rounds', done);
    bench.record('first', { ...first, simRssBytes: simRss, peakRssBytes, engineCalls: calls });
    report(bench, { boxes, done, first, simRssMb: mb(simRss), peakRssMb: mb(peakRssBytes) });
  } finally {
    await controller.end();
    await redis.close();
  }
}

async function takeRound(controller: SimController, meter: RedisMeter, boxes: number): Promise<Round> {
  const before = await meter.read();
  const usage = await controller.order('resync');
  const between = await meter.read();
  const bareCpuMs = await cpuOf(() => readAll(meter, boxes));
  const after = await meter.read();
  const list = listOf(boxes);
  const listCpuMs = await cpuOf(async () => {
    for (const listed of z.array(ListedContainer).parse(JSON.parse(list))) viewOfListed(listed, installation);
  });
  return {
    controllerCpuMs: usage.cpuMs,
    tookMs: usage.tookMs,
    redisCpuMs: between.cpuMs - before.cpuMs,
    scripts: between.scripts - before.scripts,
    rssMb: mb(usage.rssBytes),
    bareCpuMs,
    bareRedisCpuMs: after.cpuMs - between.cpuMs,
    listCpuMs,
  };
}

function report(
  bench: Bench,
  found: {
    boxes: number;
    done: readonly Round[];
    first: { cpuMs: number; tookMs: number };
    simRssMb: number;
    peakRssMb: number;
  },
): void {
  const { boxes, done, first, simRssMb, peakRssMb } = found;
  const of = (field: keyof Round): number[] => done.map((round) => round[field]);
  const head = ['ms', ...samplesHead.slice(1)];
  const rows = [
    samplesRow(`resync of ${boxes} boxes: the controller's CPU (with the simulation)`, of('controllerCpuMs')),
    samplesRow('  the same reads by a bare client: its CPU', of('bareCpuMs')),
    samplesRow('  a list of as many by the Docker adapter: CPU, not in the above', of('listCpuMs')),
    samplesRow("resync: Redis' CPU", of('redisCpuMs')),
    samplesRow("  the same reads by a bare client: Redis' CPU", of('bareRedisCpuMs')),
    samplesRow('resync: wall clock', of('tookMs')),
  ];
  bench.say(tableOf(head, rows));
  const cpuMs = median(of('controllerCpuMs')) + median(of('listCpuMs'));
  const rssMb = largest(of('rssMb'));
  bench.say(`\nCPU of a resync, list included: ${verdict(cpuMs, goalCpuMs, `${rounded(cpuMs)} ms`)}`);
  bench.say(`  ${rounded(median(of('controllerCpuMs')) / median(of('bareCpuMs')))} × the bare client's reads`);
  bench.say(`RSS after a resync: ${verdict(rssMb, goalRssMb, `${rounded(rssMb)} MB`)}`);
  bench.say(
    `  highest since the start ${rounded(peakRssMb)} MB; a process with the simulated boxes alone ${rounded(simRssMb)} MB`,
  );
  bench.say(`scripts in Redis for each box and resync: ${rounded(median(of('scripts')) / boxes)}`);
  bench.say(
    `the first look, by which all boxes were taken over: ${rounded(first.cpuMs)} ms of CPU, ${rounded(first.tookMs)} ms`,
  );
}

/** What a resync reads, and nothing else. */
async function readAll({ client }: RedisMeter, boxes: number): Promise<void> {
  const keys = keysOf(installation);
  const policies = JSON.stringify(benchPolicies);
  const sha = await loadReadScript(client);
  for (let first = 0; first < boxes; first += readsAtOnce) {
    const pipeline = client.pipeline();
    for (let index = first; index < Math.min(boxes, first + readsAtOnce); index++) {
      const user = userName(index);
      const own = userScriptKeys(keys, user);
      pipeline.evalsha(sha, own.length, ...own, user, keys.wakeChannel, keys.statusChannel, policies);
    }
    for (const [error] of (await pipeline.exec()) ?? []) if (error) throw error;
  }
}

/** The answer of `GET /containers/json` to these boxes. */
function listOf(boxes: number): string {
  const boxClass = benchClasses.get(defaultClassName);
  if (boxClass === undefined) throw new Error('there is no default class');
  const imageId = `sha256:${'1'.repeat(64)}`;
  const listed = Array.from({ length: boxes }, (_, index) => {
    const user = userName(index);
    const spec = specOf({ user, boxClass, imageId, homesDir: '/homes', network: networkNameOf(installation) });
    const labels = {
      ...{ [label.installation]: installation, [label.role]: 'box', [label.user]: user, [label.class]: spec.class },
      ...{ [label.generation]: '1', [label.spec]: JSON.stringify(spec) },
    };
    const id = index.toString(16).padStart(64, '0');
    const ports = {
      Ports: [],
      Mounts: [],
      NetworkSettings: { Networks: {} },
      HostConfig: { NetworkMode: spec.network },
    };
    const state = { Created: 1_700_000_000, State: 'running', Status: 'Up 2 hours' };
    return { Id: id, Names: [`/${boxNameOf(user)}`], ImageID: imageId, ...state, Labels: labels, ...ports };
  });
  return JSON.stringify(listed);
}

async function cpuOf(work: () => Promise<void>): Promise<number> {
  const begin = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(begin);
  return (user + system) / 1_000;
}

function mb(bytes: number): number {
  return bytes / 1024 ** 2;
}

await runBench('scale', async (bench, signal) => {
  await using redis = await startRedis();
  const meter = createRedisMeter(redis.url, installation);
  try {
    await measure(bench, redis.url, meter, signal);
  } finally {
    meter.close();
  }
});
