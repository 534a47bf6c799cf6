import { once } from 'node:events';
import { join } from 'node:path';
import { label } from '#shared/identity.ts';
import { createDockerWorld } from '../support/docker.ts';
import { startFilterProcess } from '../support/filter-process.ts';
import { type Bench, runBench } from './support/bench.ts';
import { intervalText, ratioInterval, type Rounds } from './support/intervals.ts';
import { cpuSecondsOf } from './support/process-usage.ts';
import { createRawDocker, type RawDocker } from './support/raw-docker.ts';
import { median, rounded } from './support/statistics.ts';
import { tableOf } from './support/table.ts';

/** What the filtering socket costs: the same exec on the engine itself and through a filter, in turns. */

const bytes = 101_000_000;
const openings = 5;
const usualRounds = 12;

interface Way {
  readonly raw: RawDocker;
  readonly openMs: number[][];
  readonly megabytesPerS: number[][];
}

await runBench('filter', async (bench, signal) => {
  const world = await createDockerWorld();
  const box = await world.docker.createContainer({
    Image: world.boxImageId,
    Cmd: ['sleep', 'infinity'],
    Labels: { [label.installation]: world.installation, [label.role]: 'box' },
    HostConfig: { Init: true },
  });
  await box.start();
  const socket = join(world.workdir, 'filter.sock');
  const filter = await startFilterProcess({ SPOON_FILTER_SOCKET: socket, SPOON_INSTALLATION_ID: world.installation });
  const direct = wayOf(createRawDocker(process.env.DOCKER_HOST));
  const through = wayOf(createRawDocker(`unix://${socket}`));
  let cpuS = 0;
  try {
    const rounds = bench.number('rounds', usualRounds);
    for (let round = 0; round <= rounds; round += 1) {
      // Each round begins with the other one; round 0 warms the caches.
      for (const way of round % 2 === 0 ? [direct, through] : [through, direct]) {
        signal.throwIfAborted();
        const before = await cpuSecondsOf(filter.pid);
        await measure(way, box.id, round > 0);
        if (round > 0) cpuS += (await cpuSecondsOf(filter.pid)) - before;
      }
      bench.progress(`round ${round} of ${rounds}`);
    }
    tell(bench, direct, through);
    bench.say(`\nCPU of the filter per 100 MB: ${rounded((cpuS / rounds / bytes) * 1e8)} s`);
  } finally {
    await filter.kill();
    for (const { raw } of [direct, through]) raw.close();
    await world.dispose();
  }
});

function wayOf(raw: RawDocker): Way {
  return { raw, openMs: [], megabytesPerS: [] };
}

async function measure({ raw, openMs, megabytesPerS }: Way, box: string, counts: boolean): Promise<void> {
  const opened: number[] = [];
  for (let n = 0; n < openings; n += 1) {
    const beginMs = performance.now();
    const stream = await raw.openTerminal(box, ['echo', 'x'], []);
    await once(stream, 'data');
    opened.push(performance.now() - beginMs);
    stream.destroy();
  }
  const stream = await raw.openTerminal(box, ['sh', '-c', `stty raw; head -c ${bytes} /dev/zero`], []);
  let [seen, beginMs] = [0, 0];
  for await (const chunk of stream) {
    if (seen === 0) beginMs = performance.now();
    seen += Buffer.byteLength(chunk);
  }
  if (seen < bytes) throw new Error(`${seen} of ${bytes} bytes came`);
  if (!counts) return;
  openMs.push(opened);
  megabytesPerS.push([bytes / 1e6 / ((performance.now() - beginMs) / 1_000)]);
}

function tell(bench: Bench, direct: Way, through: Way): void {
  const row = (what: string, base: Rounds, ours: Rounds): string[] => {
    const mid = (of: Rounds): string => rounded(median(of.flat()));
    return [what, mid(base), mid(ours), intervalText(ratioInterval(ours, base, 0.5))];
  };
  bench.record('samples', { direct: { ...direct, raw: undefined }, through: { ...through, raw: undefined } });
  bench.say(
    tableOf(
      ['', 'engine', 'through the filter', 'ratio [95 %]'],
      [
        row('exec → first byte, ms', direct.openMs, through.openMs),
        row('output, MB/s', direct.megabytesPerS, through.megabytesPerS),
      ],
    ),
  );
}
