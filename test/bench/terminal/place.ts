import { z } from 'zod';
import { sleep, systemClock } from '#shared/clock.ts';
import { boxNameOf, UserName } from '#shared/identity.ts';
import { closeTable } from '#shared/terminal-protocol.ts';
import { signTerminalToken } from '#shared/terminal-token.ts';
import { type ControllerWorld, createControllerWorld } from '../../support/controller-process.ts';
import { type GatewayProcess, startGatewayProcess } from '../../support/gateway-process.ts';
import { type RunningProcess, startProcess } from '../../support/process.ts';
import { freePort } from '../../support/redis.ts';
import { createRawDocker, type RawDocker } from '../support/raw-docker.ts';
import { startBox } from '../support/running-boxes.ts';
import { benchMark, openGateway, openRaw, openRelay, RefusedTerminal } from './openings.ts';
import { type Wire, within } from './wire.ts';

const relayFile = new URL('../support/relay.ts', import.meta.url).pathname;
const pipeFile = new URL('../support/byte-pipe.ts', import.meta.url).pathname;
const listensWithinMs = 10_000;
const lookEveryMs = 50;
/** A gateway bounds how fast terminals are opened; who opens hundreds waits as it says. */
const tryLater: readonly number[] = [
  429,
  503,
  closeTable['try-later'].code,
  closeTable['too-many-sessions'].code,
  closeTable['too-fast'].code,
];
const maxPatientTries = 200;
const patientMs = 250;

/** A controller, a gateway, a bare relay and a byte pipe, each a process, on one real engine; boxes in which terminals are opened. */
export interface Place {
  readonly world: ControllerWorld;
  readonly gateway: GatewayProcess;
  readonly relay: RunningProcess;
  readonly signal: AbortSignal;
  /** `main`: what is started as one */
  startGateway(environment: Readonly<Record<string, string>>, main?: string): Promise<GatewayProcess>;
  /** The container of the box of `user`, which is made when it is first asked for. */
  box(user: string): Promise<string>;
  raw(user: string): Promise<Wire>;
  /** The engine's own stream behind a byte pipe in Node. */
  piped(user: string): Promise<Wire>;
  relayed(user: string): Promise<Wire>;
  ours(user: string, more?: { gateway?: { port: number }; session?: string; signal?: AbortSignal }): Promise<Wire>;
  /** The same over networks that take so long, each way. */
  far(delayMs: number): Promise<Pick<Place, 'raw' | 'relayed' | 'ours'>>;
  /** Processes in the box that carry a session's mark, and those that were left behind by raw terminals. */
  leftIn(user: string): Promise<{ ours: number; raw: number }>;
  /** Records of sessions of the box, as the API has them. */
  sessionsOf(user: string): Promise<number>;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function createPlace(signal: AbortSignal): Promise<Place> {
  const world = await createControllerWorld();
  const running: RunningProcess[] = [];
  const docker = createRawDocker(process.env.DOCKER_HOST);
  const pipePort = await freePort();
  const piped = createRawDocker(`tcp://127.0.0.1:${pipePort}`);
  const farEngines: RawDocker[] = [];
  const dispose = async (): Promise<void> => {
    for (const one of running) await one.stop();
    docker.close();
    for (const engine of [piped, ...farEngines]) engine.close();
    await world[Symbol.asyncDispose]();
  };
  try {
    const relayPort = await freePort();
    const relay = startProcess(relayFile, { RELAY_PORT: String(relayPort) });
    running.push(relay);
    await listens(relay, `http://127.0.0.1:${relayPort}/`);
    const startPipe = async (port: number, path: string, settings: Readonly<Record<string, string>>): Promise<void> => {
      const pipe = startProcess(pipeFile, { ...settings, PIPE_PORT: String(port) });
      running.push(pipe);
      await listens(pipe, `http://127.0.0.1:${port}${path}`);
    };
    await startPipe(pipePort, '/_ping', {});
    const controller = await world.startController();
    await controller.converged();
    const startGateway: Place['startGateway'] = async (environment, main) => {
      const started = await startGatewayProcess({ ...world.environment, ...environment }, await freePort(), main);
      running.push(started);
      return started;
    };
    const gateway = await startGateway({});
    const boxes = new Map<string, Promise<string>>();
    const box = (user: string): Promise<string> => {
      const known = boxes.get(user);
      if (known !== undefined) return known;
      const made = startBox(controller, user).then(() => docker.idOf(boxNameOf(UserName.parse(user))));
      boxes.set(user, made);
      return made;
    };
    const place: Place = {
      world,
      gateway,
      relay,
      signal,
      startGateway,
      box,
      raw: async (user) => openRaw(docker, await box(user)),
      piped: async (user) => openRaw(piped, await box(user)),
      relayed: async (user) => openRelay(relayPort, await box(user)),
      async ours(user, more = {}) {
        await box(user);
        const secret = world.environment.SPOON_AGENT_TERMINAL_SECRET ?? '';
        const { token } = await signTerminalToken(secret, {
          user: UserName.parse(user),
          mode: 'rw',
          session: more.session,
        });
        return openGateway((more.gateway ?? gateway).port, token, more.signal);
      },
      async far(delayMs) {
        const startFar = async (path: string, to: string | undefined): Promise<number> => {
          const port = await freePort();
          await startPipe(port, path, { PIPE_DELAY_MS: String(delayMs), ...(to !== undefined && { PIPE_TO: to }) });
          return port;
        };
        const engine = createRawDocker(`tcp://127.0.0.1:${await startFar('/_ping', undefined)}`);
        farEngines.push(engine);
        const farRelay = await startFar('/', `tcp://127.0.0.1:${relayPort}`);
        const farGateway = { port: await startFar('/healthz', `tcp://127.0.0.1:${gateway.port}`) };
        return {
          raw: async (user) => openRaw(engine, await box(user)),
          relayed: async (user) => openRelay(farRelay, await box(user)),
          ours: (user, more) => place.ours(user, { ...more, gateway: farGateway }),
        };
      },
      async leftIn(user) {
        const id = await box(user);
        return {
          ours: await countMarked(docker, id, 'SPOONBOX_SESSION'),
          raw: await countMarked(docker, id, benchMark),
        };
      },
      async sessionsOf(user) {
        const { json } = await controller.ask('GET', `/v1/boxes/${user}`);
        return BoxSessions.parse(json).sessions.length;
      },
      [Symbol.asyncDispose]: dispose,
    };
    return place;
  } catch (error) {
    await dispose();
    throw error;
  }
}

const BoxSessions = z.object({ sessions: z.array(z.unknown()) });

/** Opens a terminal that is let in at last, where the gateway says that it is too much at once. */
export async function openPatiently(open: () => Promise<Wire>, signal: AbortSignal): Promise<Wire> {
  for (let tries = 1; ; tries++) {
    signal.throwIfAborted();
    const wire = await open();
    try {
      await within(wire.ready, 'shell');
      return wire;
    } catch (error) {
      const isLater = error instanceof RefusedTerminal && tryLater.includes(error.code);
      if (!isLater || tries === maxPatientTries) throw error;
      await sleep(systemClock, patientMs, signal);
    }
  }
}

async function listens(started: RunningProcess, url: string): Promise<void> {
  const giveUpAt = performance.now() + listensWithinMs;
  for (;;) {
    started.mustRun();
    if (await fetch(url).catch(() => null)) return;
    if (performance.now() > giveUpAt) throw new Error(`nothing listens at ${url} within ${listensWithinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
}

async function countMarked(docker: RawDocker, containerId: string, name: string): Promise<number> {
  // The command line of this exec holds the name too, its environment does not.
  const script = `echo "<$(grep -lsz "^${name}=" /proc/[0-9]*/environ | wc -l)>"`;
  const stream = await docker.openTerminal(containerId, ['/bin/sh', '-c', script], []);
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  const [, count] = /<(\d+)>/.exec(text) ?? [];
  if (count === undefined) throw new Error(`processes in ${containerId} could not be counted: ${text}`);
  return Number(count);
}
