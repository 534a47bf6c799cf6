import type Docker from 'dockerode';
import { setTimeout as wait } from 'node:timers/promises';
import { apiToken } from '../support/controller-process.ts';
import { createDockerWorld, type DockerWorld } from '../support/docker.ts';
import { createOwnEngine, type OwnEngine } from '../support/own-engine.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { createPart, type Part } from './part.ts';
import { layWires, type Wire, wires } from './wires.ts';

const controllerMain = new URL('../../controller/src/main.ts', import.meta.url).pathname;
const gatewayMain = new URL('../../gateway/src/main.ts', import.meta.url).pathname;
const controllerPort = 3922;
const gatewayPort = 3921;
const enginePort = 2375;
const engineDiskMiB = 256;
const readyWithinMs = 60_000;
/** Boxes go soon, so that reaps meet faults; everything else is as it is delivered. */
const idleMs = 20_000;
/** Short, so that what nobody comes back to is gone before the end is looked at. */
const terminalGraceMs = 30_000;

export interface Installation {
  readonly engine: OwnEngine;
  readonly redis: TestRedis;
  readonly corner: DockerWorld;
  /** by the engine's socket, which no cut touches */
  readonly docker: Docker;
  readonly controllers: readonly Part[];
  readonly gateways: readonly Part[];
  [Symbol.asyncDispose](): Promise<void>;
}

/** Two controllers, two gateways, a Redis and an engine, each reached by a wire of its own. */
export async function createInstallation(
  onLine: (part: string, line: string) => void,
  onEnd: (part: string, how: string) => void,
): Promise<Installation> {
  await layWires();
  const listen = `tcp://0.0.0.0:${enginePort}`;
  const engine = await createOwnEngine({ listen, network: 'shared', diskMiB: engineDiskMiB });
  const corner = await createDockerWorld(engine.address);
  const toRedis = Object.entries(wires).flatMap(([name, address]) => (name.endsWith('redis') ? [address] : []));
  const redis = await startRedis(['127.0.0.1', ...toRedis]);

  function part(kind: 'controller' | 'gateway', number: 1 | 2): Part {
    const name = `${kind}-${number}` as const;
    const to = (wire: Wire): string => wires[wire];
    const address = to(`clients to ${name}`);
    const environment = {
      PATH: process.env.PATH ?? '',
      TMPDIR: process.env.TMPDIR ?? '',
      SPOON_REDIS_URL: `redis://${to(`${name} to redis`)}:${redis.port}`,
      DOCKER_HOST: `tcp://${to(`${name} to engine`)}:${enginePort}`,
      SPOON_BIND: address,
      SPOON_CONTROLLER_PORT: String(controllerPort),
      SPOON_GATEWAY_PORT: String(gatewayPort),
      SPOON_INSTALLATION_ID: corner.installation,
      SPOON_AGENT_WORKDIR: corner.workdir,
      SPOON_AGENT_WORKER_INTERNAL_TOKEN: apiToken,
      SPOON_AGENT_TERMINAL_SECRET: 'test-terminal-secret-0123456789',
      SPOON_AGENT_BOX_IDLE_MS: String(idleMs),
      SPOON_TERMINAL_GRACE_MS: String(terminalGraceMs),
      ...(process.env.SPOON_BOX_IMAGE === undefined ? {} : { SPOON_BOX_IMAGE: process.env.SPOON_BOX_IMAGE }),
    };
    return createPart({
      name,
      url: kind === 'controller' ? `http://${address}:${controllerPort}` : `ws://${address}:${gatewayPort}`,
      main: kind === 'controller' ? controllerMain : gatewayMain,
      environment,
      onLine: (line) => onLine(name, line),
      onEnd: (how) => onEnd(name, how),
    });
  }

  const controllers = [part('controller', 1), part('controller', 2)];
  const gateways = [part('gateway', 1), part('gateway', 2)];
  for (const each of [...controllers, ...gateways]) each.start();
  await Promise.all([...controllers, ...gateways].map((each) => isReady(each)));
  return {
    engine,
    redis,
    corner,
    docker: corner.docker,
    controllers,
    gateways,
    async [Symbol.asyncDispose]() {
      for (const each of [...gateways, ...controllers]) await each.kill();
      await redis[Symbol.asyncDispose]();
      await engine[Symbol.asyncDispose]();
    },
  };
}

/** Resolves when it says that it is. */
export async function isReady(part: Part): Promise<void> {
  const giveUpAt = Date.now() + readyWithinMs;
  const url = `${part.url.replace(/^ws/, 'http')}/readyz`;
  for (;;) {
    // Before it listens a connection is refused; while its wire is cut nothing comes at all.
    const answer = await fetch(url, { signal: AbortSignal.timeout(1_000) }).catch(() => null);
    if (answer?.ok) return;
    if (Date.now() > giveUpAt) {
      throw new Error(`${part.name} is not ready within ${readyWithinMs} ms:\n${part.lastLines()}`);
    }
    await wait(50);
  }
}
