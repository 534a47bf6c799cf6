import { z } from 'zod';
import { sleep, systemClock } from '#shared/clock.ts';
import { boxNameOf, InstallationId, label, networkNameOf, UserName } from '#shared/identity.ts';
import { specOf } from '../../controller/src/box/spec.ts';
import { defaultClassName, loadClasses } from '#shared/classes.ts';
import { createBodyOf } from '../../controller/src/runtime/create-body.ts';
import { type ControllerProcess, type ControllerWorld, createControllerWorld } from '../support/controller-process.ts';
import { boxImage } from '../support/docker.ts';
import { type Bench, runBench } from './support/bench.ts';
import { createRawDocker, type RawDocker } from './support/raw-docker.ts';
import { type Attempt, type Series, takeTurns } from './support/series.ts';
import { median, rounded } from './support/statistics.ts';
import { samplesHead, samplesRow, tableOf, verdict } from './support/table.ts';

/**
 * From a lease to a box in which a command ran, through the API of a real controller, beside the raw calls on the engine
 * with the same create body. The image is there; so is the home, but for the first-time users.
 */

const goal = 1.25;
const atOnce = 20;
const roundsAtOnce = 5;
const waitMs = 120_000;
const goneLookMs = 25;
const classesDir = new URL('../../manifests/classes', import.meta.url).pathname;

interface Place {
  readonly world: ControllerWorld;
  readonly controller: ControllerProcess;
  readonly raw: RawDocker;
  readonly signal: AbortSignal;
}

async function measure(bench: Bench, place: Place): Promise<void> {
  const one = (name: string, attempt: (round: number) => Attempt): Series => {
    return { name, samplesMs: [], attempts: (round) => [attempt(round)] };
  };
  const many = (name: string, attempt: (name: string) => Attempt): Series => {
    const names = Array.from({ length: atOnce }, (_, index) => String(index));
    return { name, samplesMs: [], attempts: (round) => names.map((index) => attempt(`${round}-${index}`)) };
  };
  const raw = one('raw create + start + exec', (round) => rawBoxOf(place, `raw-${round}`));
  const ours = one('lease → ready', (round) => leaseOf(place, `known-${round}`, true));
  const firstTime = one('lease → ready, home to be made', (round) => leaseOf(place, `new-${round}`, false));
  const rawMany = many(`raw, the last of ${atOnce} at once`, (name) => rawBoxOf(place, `raw-many-${name}`));
  const oursMany = many(`leases, the last of ${atOnce} at once`, (name) => leaseOf(place, `many-${name}`, true));

  const rounds = bench.number('rounds', 30);
  const told = (round: number): void => void (round % 5 === 0 && bench.progress(`round ${round} of ${rounds}`));
  await takeTurns([raw, ours, firstTime], rounds, told, place.signal);
  const toldMany = (round: number): void => bench.progress(`${atOnce} at once: round ${round} of ${roundsAtOnce}`);
  await takeTurns([rawMany, oursMany], roundsAtOnce, toldMany, place.signal);

  const all = [raw, ours, firstTime, rawMany, oursMany];
  bench.record('samplesMs', Object.fromEntries(all.map(({ name, samplesMs }) => [name, samplesMs])));
  const rows = all.map(({ name, samplesMs }) => samplesRow(name, samplesMs));
  bench.say(tableOf(['ms', ...samplesHead.slice(1)], rows));
  const ratio = ratioOf(ours, raw);
  const ratioMany = ratioOf(oursMany, rawMany);
  bench.say(`\nlease → ready, medians: ${verdict(ratio, goal, `${rounded(ratio)} × raw`)}`);
  bench.say(`the last of ${atOnce}, medians: ${verdict(ratioMany, goal, `${rounded(ratioMany)} × raw`)}`);
  bench.say(`with the home to be made: ${rounded(ratioOf(firstTime, raw))} × raw (no goal)`);
}

function ratioOf(ours: Series, baseline: Series): number {
  return median(ours.samplesMs) / median(baseline.samplesMs);
}

const Ready = z.object({ ready: z.literal(true) });

/** A lease that waits for its box, through the API. */
function leaseOf({ world, controller, raw, signal }: Place, name: string, withHome: boolean): Attempt {
  const user = UserName.parse(name);
  const body = { kind: 'job', holder: 'bench', ttlMs: 300_000 };
  return {
    async prepare() {
      if (withHome) await world.makeHome(user);
    },
    async run() {
      const answer = await controller.ask('PUT', `/v1/boxes/${user}/leases/bench?waitMs=${waitMs}`, body);
      if (Ready.safeParse(answer.json).success) return;
      throw new Error(`the lease of ${user} was answered with ${answer.status}: ${JSON.stringify(answer.json)}`);
    },
    async clean() {
      const { status, json } = await controller.ask('DELETE', `/v1/boxes/${user}`);
      if (status !== 202) throw new Error(`the delete of ${user} was answered with ${status}: ${JSON.stringify(json)}`);
      while (await raw.exists(boxNameOf(user))) await sleep(systemClock, goneLookMs, signal);
    },
  };
}

/** Whose the raw boxes are: nobody's, to the controller. */
function rawInstallation(world: ControllerWorld): InstallationId {
  return InstallationId.parse(`${world.docker.installation}-raw`);
}

/** The same box by hand, under a name and a label that the controller does not take for its own. */
function rawBoxOf({ world, raw }: Place, name: string): Attempt {
  const user = UserName.parse(name);
  const { installation, workdir, boxImageId: imageId } = world.docker;
  const boxClass = loadClasses(classesDir, { boxImage, boxIdleMs: null }).get(defaultClassName);
  if (boxClass === undefined) throw new Error('there is no default class');
  const network = networkNameOf(installation);
  const spec = specOf({ user, boxClass, imageId, homesDir: `${workdir}/homes`, network });
  const body = createBodyOf(rawInstallation(world), { user, generation: 1, spec });
  let id = '';
  return {
    prepare: () => world.makeHome(user),
    async run() {
      id = await raw.createStartExec(`${installation}-${user}`, body, boxClass.readiness.command);
    },
    clean: () => raw.removeByForce(id),
  };
}

await runBench('lease', async (bench, signal) => {
  await using world = await createControllerWorld();
  const raw = createRawDocker(process.env.DOCKER_HOST);
  try {
    const controller = await world.startController();
    await controller.converged();
    await measure(bench, { world, controller, raw, signal });
  } finally {
    await raw.removeAll(`${label.installation}=${rawInstallation(world)}`);
    raw.close();
  }
});
