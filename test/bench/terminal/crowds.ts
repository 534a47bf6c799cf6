import { InstallationId } from '#shared/identity.ts';
import { createLogger } from '#shared/log.ts';
import { connectRedis } from '#shared/redis.ts';
import { signTerminalToken } from '#shared/terminal-token.ts';
import { startGatewayProcess } from '../../support/gateway-process.ts';
import { freePort, startRedis } from '../../support/redis.ts';
import type { Bench } from '../support/bench.ts';
import { benchStore, populate, userName } from '../support/population.ts';
import { cpuSecondsOf, residentBytesOf } from '../support/process-usage.ts';
import { startSimController } from '../support/sim-controller-port.ts';
import { valueInterval } from '../support/intervals.ts';
import { percentile, rounded } from '../support/statistics.ts';
import { type Crowd, crowdText, openCrowd, watchCrowd } from './crowd.ts';
import { openGateway } from './openings.ts';
import { openPatiently, type Place } from './place.ts';
import type { Row } from './rows.ts';
import { settle } from './wire.ts';

const mib = 1_024 * 1_024;
/** What counts as 1 KiB/s and as a key a second. */
const servedShare = 0.9;
/** Longer than between two collections of the whole heap: each window is to have its part of them. */
const simulated = { sessions: 2_000, perUser: 20, atOnce: 16, goalP99Ms: 50, windows: { count: 3, eachMs: 60_000 } };
const real = { sessions: 300, perUser: 30, atOnce: 6, windows: { count: 6, eachMs: 5_000 } };
const simGateway = new URL('../support/sim-gateway.ts', import.meta.url).pathname;
const secret = 'bench-terminal-secret-0123456789';

/** The gateway's own code on a real Redis, with a simulated engine behind it: what one process of it can carry. */
export async function measureSimulatedCrowd(bench: Bench, signal: AbortSignal): Promise<Row[]> {
  const count = bench.number('sessions', simulated.sessions);
  const boxes = Math.ceil(count / simulated.perUser);
  const installation = InstallationId.parse('bench');
  await using redis = await startRedis();
  const port = connectRedis(redis.url, createLogger({ name: 'bench', level: 'warn' }));
  const sim = {
    redisUrl: redis.url,
    installation,
    boxes,
    resyncMs: 86_400_000,
    withController: true,
    tellCalls: false,
  };
  await populate(benchStore(port, installation), boxes, 0);
  await port.close();
  const controller = await startSimController(sim);
  await controller.order('settle');
  const gateway = await startGatewayProcess(
    {
      SPOON_REDIS_URL: redis.url,
      SPOON_INSTALLATION_ID: installation,
      SPOON_AGENT_WORKER_INTERNAL_TOKEN: secret,
      SPOON_AGENT_TERMINAL_SECRET: secret,
      SPOON_LOG_LEVEL: 'warn',
    },
    await freePort(),
    simGateway,
  );
  try {
    const open = async (index: number) => {
      const user = userName(index % boxes);
      const { token } = await signTerminalToken(secret, { user, mode: 'rw' });
      return openGateway(gateway.port, token);
    };
    const of = { count, atOnce: simulated.atOnce, name: 'simulated crowd' };
    const wires = await openCrowd(bench, (index) => openPatiently(() => open(index), signal), of);
    const before = await cpuSecondsOf(gateway.pid);
    const crowd = await watchCrowd(wires, simulated.windows, signal);
    const cpuS = (await cpuSecondsOf(gateway.pid)) - before;
    const bytes = await residentBytesOf(gateway.pid);
    for (const wire of wires) wire.drop();
    const p99 = valueInterval(crowd.echoMs, 0.99);
    bench.record('simulatedCrowd', { count, ...factsOf(crowd), cpuS, bytes });
    const isMet = p99.high < simulated.goalP99Ms && isServed(crowd) && wires.length === count;
    const goal = `p99 < ${simulated.goalP99Ms} ms`;
    return [rowOf(`${count} sessions, simulated engine`, crowd, { goal, isMet, bytes })];
  } finally {
    await gateway.kill();
    await controller.end();
  }
}

/** The same on the real engine, whose processes and shims take their part of this machine. */
export async function measureRealCrowd(bench: Bench, place: Place): Promise<Row[]> {
  const count = bench.number('sessions', real.sessions);
  const gateway = await place.startGateway({});
  const boxes = Math.ceil(count / real.perUser);
  const open = async (index: number) => {
    const user = `crowd-${index % boxes}`;
    const wire = await openPatiently(() => place.ours(user, { gateway }), place.signal);
    await settle(wire);
    // No process is made once it runs: `read` of the shell itself is the pause.
    wire.send("exec 9<> <(:); while :; do printf '%01022d\\n' 0; read -t 1 -u 9; done\r");
    return wire;
  };
  for (let box = 0; box < boxes; box++) await place.box(`crowd-${box}`);
  const wires = await openCrowd(bench, open, { count, atOnce: real.atOnce, name: 'real crowd' });
  const crowd = await watchCrowd(wires, real.windows, place.signal);
  const bytes = await residentBytesOf(gateway.pid);
  for (const wire of wires) wire.drop();
  await gateway.stop();
  bench.record('realCrowd', { count, ...factsOf(crowd), bytes });
  const isMet = wires.length === count && isServed(crowd);
  return [rowOf(`${count} sessions, real engine`, crowd, { goal: `${count} served`, isMet, bytes })];
}

function rowOf(what: string, crowd: Crowd, of: { goal: string; isMet: boolean; bytes: number }): Row {
  const { goal, isMet, bytes } = of;
  const output = `each ≥ ${rounded(crowd.leastBytesPerS)} B/s, ${rounded(crowd.keysPerS)} keys/s`;
  return { what, baseline: `${output}, ${rounded(bytes / mib)} MiB`, ours: crowdText(crowd), ratio: '', goal, isMet };
}

function isServed({ leastBytesPerS, keysPerS, unanswered }: Crowd): boolean {
  return leastBytesPerS >= servedShare * 1_024 && keysPerS >= servedShare && unanswered === 0;
}

function factsOf({ echoMs, leastBytesPerS, keysPerS, unanswered }: Crowd): object {
  const [p50, p99, max] = [0.5, 0.99, 1].map((p) => percentile(echoMs.flat(), p));
  return { keys: echoMs.flat().length, p50, p99, max, leastBytesPerS, keysPerS, unanswered };
}
