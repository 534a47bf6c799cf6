import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { BoxView } from '#shared/api-schemas.ts';
import { boxNameOf, label, UserName } from '#shared/identity.ts';
import {
  apiToken,
  type ControllerProcess,
  type ControllerWorld,
  createControllerWorld,
} from '../support/controller-process.ts';
import { type GatewayProcess, startGatewayProcess } from '../support/gateway-process.ts';
import { freePort } from '../support/redis.ts';

const untilMs = 30_000;
const lookEveryMs = 50;
const defaultClass = new URL('../../manifests/classes/default.yaml', import.meta.url).pathname;

/** A whole Spoonbox of real processes: Redis, controllers, gateways, and boxes on the real engine. */
export interface Installation {
  readonly world: ControllerWorld;
  readonly gatewayPort: number;
  /** A name that no other installation on this engine uses: the names of boxes are the engine's. */
  newUser(name: string): UserName;
  /** Starts a controller. With `standby` it is not waited for until it leads. */
  controller(environment?: Readonly<Record<string, string>>, standby?: 'standby'): Promise<ControllerProcess>;
  gateway(environment?: Readonly<Record<string, string>>): Promise<GatewayProcess>;
  /** SIGTERM to all of them: a test that failed must not leave the next one a leader, or a port in use. */
  stopProcesses(): Promise<void>;
  /** A folder for SPOON_CLASSES: each class is the default one, with these lines in place of its own. */
  classes(linesOf: Readonly<Record<string, Readonly<Record<string, string>>>>): Promise<string>;
  /** Every container of a user on the engine, ours or not. */
  containers(user: UserName): Promise<{ id: string; state: string }[]>;
  startedAt(containerId: string): Promise<string>;
  /** Command lines of all that runs in a box. */
  processes(containerId: string): Promise<string[]>;
  /** Tells what happens to a user's containers from now on: `create`, `start`, `kill`, `die`, `destroy`. */
  follow(user: UserName): Promise<EngineStory>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface EngineStory {
  readonly happened: readonly { readonly action: string; readonly atMs: number }[];
  /** `performance.now()` when the first of these was heard of; throws where it was not yet. */
  at(action: string): number;
  count(action: string): number;
}

/** On the engine at `dockerHost`, or on the one that all tests share. */
export async function createInstallation(dockerHost?: string): Promise<Installation> {
  const world = await createControllerWorld(dockerHost);
  const gatewayPort = await freePort();
  const controllers = new Set<ControllerProcess>();
  const gateways = new Set<GatewayProcess>();
  const streams = new Set<NodeJS.ReadableStream>();
  const { docker, workdir } = world.docker;

  return {
    world,
    gatewayPort,
    newUser: (name) => UserName.parse(`${name}-${randomBytes(4).toString('hex')}`),
    async controller(environment = {}, standby) {
      const settings = { SPOON_GATEWAY_PORT: String(gatewayPort), ...environment };
      const controller = await world.startController(settings);
      controllers.add(controller);
      if (standby === undefined) await controller.converged();
      return controller;
    },
    async gateway(environment = {}) {
      const gateway = await startGatewayProcess({ ...world.environment, ...environment }, gatewayPort);
      gateways.add(gateway);
      return gateway;
    },
    async stopProcesses() {
      await Promise.all([...controllers, ...gateways].map((running) => running.stop()));
      controllers.clear();
      gateways.clear();
    },
    async classes(linesOf) {
      const folder = join(workdir, `classes-${randomBytes(4).toString('hex')}`);
      await mkdir(folder);
      const text = await readFile(defaultClass, 'utf8');
      for (const [name, lines] of Object.entries(linesOf)) {
        await writeFile(join(folder, `${name}.yaml`), withLines(text, { ...lines, name }));
      }
      return folder;
    },
    async containers(user) {
      const filters = { label: [`${label.user}=${user}`] };
      const labelled = await docker.listContainers({ all: true, filters });
      const named = await docker.listContainers({ all: true, filters: { name: [`^/${boxNameOf(user)}$`] } });
      const all = new Map([...labelled, ...named].map(({ Id, State }) => [Id, State]));
      return [...all].map(([id, state]) => ({ id, state }));
    },
    async startedAt(containerId) {
      return (await docker.getContainer(containerId).inspect()).State.StartedAt;
    },
    async processes(containerId) {
      const { Processes } = Top.parse(await docker.getContainer(containerId).top({ ps_args: '-eo pid,args' }));
      return Processes.map(([, command = '']) => command);
    },
    async follow(user) {
      const stream = await docker.getEvents({ filters: { label: [`${label.user}=${user}`], type: ['container'] } });
      streams.add(stream);
      return storyOf(stream);
    },
    async [Symbol.asyncDispose]() {
      for (const gateway of gateways) await gateway.kill();
      for (const stream of streams) stream.removeAllListeners('data').pause();
      await world[Symbol.asyncDispose]();
    },
  };
}

/** Commands in a box that are the box's own: its init, its PID 1 script, and the sleep that it waits in. */
export function isOfTheBox(command: string): boolean {
  return /docker-init|tini|^\/bin\/sh -c\s+others\(|^sleep 86400$/.test(command);
}

/** What the CLI needs to reach this installation. */
export function reach(controller: ControllerProcess): { server: string; token: string } {
  return { server: controller.url, token: apiToken };
}

export async function boxOf(controller: ControllerProcess, user: UserName): Promise<BoxView> {
  const { status, json } = await controller.ask('GET', `/v1/boxes/${user}`);
  if (status !== 200) throw new Error(`box of ${user}: ${status} ${JSON.stringify(json)}`);
  return BoxView.parse(json);
}

/** Takes a job lease, and waits until the box is ready. */
export async function lease(controller: ControllerProcess, user: UserName, waitMs = 30_000): Promise<BoxView> {
  const body = { kind: 'job', holder: 'test', ttlMs: 60_000 };
  const { json } = await controller.ask('PUT', `/v1/boxes/${user}/leases/job?waitMs=${waitMs}`, body);
  const box = z.object({ box: BoxView }).parse(json).box;
  if (waitMs > 0 && !box.ready) throw new Error(`the box of ${user} is not ready: ${JSON.stringify(box)}`);
  return box;
}

export async function ready(controller: ControllerProcess, user: UserName): Promise<BoxView & { containerId: string }> {
  return await until(`the box of ${user} is ready`, async () => {
    const box = await boxOf(controller, user);
    return box.ready && box.containerId !== null ? { ...box, containerId: box.containerId } : null;
  });
}

export async function absent(controller: ControllerProcess, user: UserName): Promise<BoxView> {
  return await until(`the box of ${user} is absent`, async () => {
    const box = await boxOf(controller, user);
    return box.phase === 'absent' ? box : null;
  });
}

/** Asks again and again, until the answer is neither null nor false. */
export async function until<Found>(
  what: string,
  find: () => Promise<Found | null | false> | Found | null | false,
  withinMs = untilMs,
): Promise<Found> {
  const giveUpAt = performance.now() + withinMs;
  for (;;) {
    const found = await find();
    if (found !== null && found !== false) return found;
    if (performance.now() >= giveUpAt) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
}

export function isLeader(controller: ControllerProcess): Promise<boolean> {
  return controller.ask('GET', '/readyz').then(({ json }) => Leading.parse(json).leader.leads);
}

function withLines(text: string, lines: Readonly<Record<string, string>>): string {
  let changed = text;
  for (const [field, value] of Object.entries(lines)) {
    const line = new RegExp(`^${field}:.*$`, 'm');
    if (!line.test(changed)) throw new Error(`${defaultClass} has no line ${field}`);
    changed = changed.replace(line, `${field}: ${value}`);
  }
  return changed;
}

const Leading = z.object({ leader: z.object({ leads: z.boolean() }) });
const Top = z.object({ Processes: z.array(z.array(z.string())) });
const EngineEvent = z.object({ Action: z.string() });

function storyOf(stream: NodeJS.ReadableStream): EngineStory {
  const happened: { action: string; atMs: number }[] = [];
  let text = '';
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    const lines = text.split('\n');
    text = lines.pop() ?? '';
    for (const line of lines.filter((some) => some !== '')) {
      happened.push({ action: EngineEvent.parse(JSON.parse(line)).Action, atMs: performance.now() });
    }
  });
  return {
    happened,
    at(action) {
      const found = happened.find((event) => event.action === action);
      if (!found) throw new Error(`no ${action} so far: ${happened.map((event) => event.action).join(', ')}`);
      return found.atMs;
    },
    count: (action) => happened.filter((event) => event.action === action).length,
  };
}
