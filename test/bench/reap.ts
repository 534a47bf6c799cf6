import { sleep, systemClock } from '#shared/clock.ts';
import { boxNameOf, UserName } from '#shared/identity.ts';
import { createLogger } from '#shared/log.ts';
import { connectRedis } from '#shared/redis.ts';
import { type ControllerProcess, type ControllerWorld, createControllerWorld } from '../support/controller-process.ts';
import { type Bench, runBench } from './support/bench.ts';
import { benchStore } from './support/population.ts';
import { pastEvents } from './support/past-events.ts';
import { createRawDocker } from './support/raw-docker.ts';
import { releaseBox, startBox } from './support/running-boxes.ts';
import { largest, percentile, rounded } from './support/statistics.ts';
import { samplesHead, samplesRow, tableOf, verdict } from './support/table.ts';

/**
 * How exactly a box that nobody needs any more is reaped: from its deadline to the commit that permits the reap, and to the
 * first signal in the box, on a real engine. Beside it how late a plain timer of the same length is on this machine.
 */

const idleMs = 2_500;
const goalMs = 2_000;
/** The pacer lets so many boxes go in a minute where few run; a new term of the leader begins to count anew. */
const reapsPerTerm = 5;
const goneWithinMs = 30_000;
const lookMs = 20;

interface Sample {
  /** deadline → commit, both by Redis TIME */
  readonly commitMs: number;
  /** deadline → TERM in the box: the engine's clock, which is this machine's and so Redis' */
  readonly signalMs: number;
  /** deadline → the engine has no container any more */
  readonly goneMs: number;
}

async function measure(bench: Bench, world: ControllerWorld, signal: AbortSignal): Promise<void> {
  const rounds = bench.number('rounds', 10);
  const samples: Sample[] = [];
  const timers: number[] = [];
  let controller: ControllerProcess | null = null;
  for (let round = 0; round < rounds; round++) {
    signal.throwIfAborted();
    if (round % reapsPerTerm === 0) {
      await controller?.stop();
      controller = await world.startController({ SPOON_AGENT_BOX_IDLE_MS: String(idleMs) });
      await controller.converged();
    }
    if (controller === null) throw new Error('no controller was started');
    const [sample, lateMs] = await Promise.all([
      oneReap(world, controller, `reap-${round}`, signal),
      timerLate(signal),
    ]);
    samples.push(sample);
    timers.push(lateMs);
    bench.progress(`round ${round + 1} of ${rounds}`);
  }
  const commits = samples.map(({ commitMs }) => commitMs);
  bench.record('samplesMs', { samples, timers });
  const rows = [
    samplesRow(`a timer of ${idleMs} ms on this machine: late by`, timers),
    samplesRow('deadline → the reap is committed', commits),
    samplesRow(
      'deadline → TERM in the box',
      samples.map(({ signalMs }) => signalMs),
    ),
    samplesRow(
      'deadline → the container is gone',
      samples.map(({ goneMs }) => goneMs),
    ),
  ];
  bench.say(tableOf(['ms', ...samplesHead.slice(1)], rows));
  const earliest = percentile(commits, 0);
  bench.say(
    `\nlatest commit after its deadline: ${verdict(largest(commits), goalMs, `${rounded(largest(commits))} ms`)}`,
  );
  bench.say(`earliest: ${rounded(earliest)} ms (never before the deadline): ${earliest >= 0 ? 'met' : 'MISSED'}`);
}

async function oneReap(
  world: ControllerWorld,
  controller: ControllerProcess,
  name: string,
  signal: AbortSignal,
): Promise<Sample> {
  const user = UserName.parse(name);
  const { docker, installation } = world.docker;
  const port = connectRedis(world.redis.url, createLogger({ name: 'bench', level: 'warn' }));
  const store = benchStore(port, installation);
  const raw = createRawDocker(process.env.DOCKER_HOST);
  try {
    await world.makeHome(user);
    await startBox(controller, user);
    await releaseBox(controller, user);
    const { desired, status } = await store.read(user);
    if (desired === null || status === null) throw new Error(`nothing is known of ${user} just after its release`);
    const deadline = Math.max(desired.lastActivityAt + idleMs, status.keepUntil);
    const giveUpAt = performance.now() + goneWithinMs;
    while (await raw.exists(boxNameOf(user))) {
      if (performance.now() > giveUpAt)
        throw new Error(`${user}'s box is still there ${goneWithinMs} ms after its release`);
      await sleep(systemClock, lookMs, signal);
    }
    const goneAt = Date.now();
    const reaping = (await store.events(user, 50)).find(({ reason }) => reason === 'Reaping');
    if (reaping === undefined) throw new Error(`${user}'s box is gone, and no event says that it was reaped`);
    const filters = { container: [status.containerId ?? ''], event: ['kill'] };
    const [term] = await pastEvents(docker, Math.floor(deadline / 1_000) - 5, filters);
    if (term === undefined) throw new Error(`${user}'s box is gone, and the engine sent it no signal`);
    return { commitMs: reaping.at - deadline, signalMs: term.timeNano / 1e6 - deadline, goneMs: goneAt - deadline };
  } finally {
    raw.close();
    await port.close();
  }
}

async function timerLate(signal: AbortSignal): Promise<number> {
  const begin = performance.now();
  await sleep(systemClock, idleMs, signal);
  return performance.now() - begin - idleMs;
}

await runBench('reap', async (bench, signal) => {
  await using world = await createControllerWorld();
  await measure(bench, world, signal);
});
