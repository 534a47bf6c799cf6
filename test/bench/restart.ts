import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type Docker from 'dockerode';
import { z } from 'zod';
import { label } from '#shared/identity.ts';
import { type ControllerWorld, createControllerWorld } from '../support/controller-process.ts';
import { type Bench, runBench } from './support/bench.ts';
import { pastEvents } from './support/past-events.ts';
import { startBoxes } from './support/running-boxes.ts';
import { rounded } from './support/statistics.ts';
import { tableOf, verdict } from './support/table.ts';

/**
 * The controller is stopped, and killed, while boxes run; the next one must leave every box alone and know them all within
 * the goal. Converged: it leads, has compared every box with a list of the engine's, and has nothing left to do. Beside it
 * the least that any program would need: Node's own start, and one list of the boxes.
 */

const goalMs = 5_000;

interface Sample {
  readonly how: string;
  readonly convergedMs: number;
  readonly nodeMs: number;
  readonly listMs: number;
  /** containers that are not as they were, and changes of containers that the engine told of */
  readonly touched: number;
  readonly changes: number;
}

async function measure(bench: Bench, world: ControllerWorld, signal: AbortSignal): Promise<void> {
  const boxes = bench.number('boxes', 100);
  const rounds = bench.number('rounds', 3);
  const users = Array.from({ length: boxes }, (_, index) => `user-${index}`);
  let controller = await world.startController();
  await controller.converged();
  for (const user of users) await world.makeHome(user);
  await startBoxes(controller, users, (ready) => bench.progress(`${ready} of ${boxes} boxes run`), signal);

  const samples: Sample[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const how of ['stopped', 'killed'] as const) {
      signal.throwIfAborted();
      const before = await containers(world);
      const sinceS = Math.floor(Date.now() / 1_000) + 1;
      // The engine's list of past events knows whole seconds: what happened before this one is not asked for.
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      if (how === 'stopped') await controller.stop();
      else await controller.kill();
      const [nodeMs, listMs] = [await nodeStarts(), await oneList(world)];
      controller = await world.startController();
      await controller.converged();
      const convergedMs = performance.now() - controller.startedAtMs;
      const after = await containers(world);
      const touched = [...before].filter(([id, state]) => after.get(id) !== state).length;
      const changes = await changesSince(world, sinceS);
      if (before.size !== boxes || after.size !== boxes) {
        throw new Error(`${boxes} boxes were started, ${before.size} were there before and ${after.size} after`);
      }
      samples.push({ how, convergedMs, nodeMs, listMs, touched, changes });
      bench.progress(`${how}: converged after ${rounded(convergedMs)} ms`);
    }
  }
  bench.record('samples', samples);
  report(bench, boxes, samples);
}

function report(bench: Bench, boxes: number, samples: readonly Sample[]): void {
  const head = [
    `${boxes} boxes, controller was`,
    'converged ms',
    'node starts ms',
    'one list ms',
    'touched',
    'changes',
  ];
  const rows = samples.map(({ how, convergedMs, nodeMs, listMs, touched, changes }) => {
    return [how, ...[convergedMs, nodeMs, listMs].map(rounded), String(touched), String(changes)];
  });
  bench.say(`${tableOf(head, rows)}\n`);
  for (const how of ['stopped', 'killed']) {
    const slowest = Math.max(...samples.filter((sample) => sample.how === how).map(({ convergedMs }) => convergedMs));
    bench.say(`${how}, the slowest: ${verdict(slowest, goalMs, `${rounded(slowest)} ms from the process's start`)}`);
  }
  const touched = samples.reduce((sum, sample) => sum + sample.touched + sample.changes, 0);
  bench.say(`boxes touched: ${touched} (goal 0): ${touched === 0 ? 'met' : 'MISSED'}`);
}

const Inspected = z.object({ Id: z.string(), State: z.object({ Status: z.string(), StartedAt: z.string() }) });

/** Each of our boxes: its id, and what a change of it would change. */
async function containers(world: ControllerWorld): Promise<Map<string, string>> {
  const states = new Map<string, string>();
  for (const { Id } of await listed(world)) {
    const { State } = Inspected.parse(await world.docker.docker.getContainer(Id).inspect());
    states.set(Id, `${State.Status} since ${State.StartedAt}`);
  }
  return states;
}

async function listed({ docker: { docker, installation } }: ControllerWorld): Promise<Docker.ContainerInfo[]> {
  const filters = { label: [`${label.installation}=${installation}`, `${label.role}=box`] };
  return await docker.listContainers({ all: true, filters });
}

/** Events of our boxes that no look at them causes. */
async function changesSince({ docker: { docker, installation } }: ControllerWorld, sinceS: number): Promise<number> {
  const changes = ['create', 'start', 'die', 'kill', 'stop', 'destroy', 'rename', 'pause', 'unpause', 'update'];
  const filters = {
    label: [`${label.installation}=${installation}`, `${label.role}=box`],
    event: [...changes, 'exec_create'],
  };
  return (await pastEvents(docker, sinceS, filters)).length;
}

async function nodeStarts(): Promise<number> {
  const begin = performance.now();
  const child = spawn(process.execPath, ['-e', ''], { stdio: 'ignore' });
  await once(child, 'exit');
  return performance.now() - begin;
}

async function oneList(world: ControllerWorld): Promise<number> {
  const begin = performance.now();
  await listed(world);
  return performance.now() - begin;
}

await runBench('restart', async (bench, signal) => {
  await using world = await createControllerWorld();
  await measure(bench, world, signal);
});
