import { chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { createDockerWorld, type DockerWorld } from './docker.ts';
import { type RunningProcess, startProcess } from './process.ts';
import { freePort, startRedis, type TestRedis } from './redis.ts';

const mainFile = new URL('../../controller/src/main.ts', import.meta.url).pathname;
const readyWithinMs = 60_000;
const lookEveryMs = 50;
const boxUid = 1000;

export const apiToken = 'test-api-token-0123456789';

/** A work directory, an installation id, a Redis and a corner of the real engine: what controllers of one installation share. */
export interface ControllerWorld {
  readonly docker: DockerWorld;
  readonly redis: TestRedis;
  /** for one more process of this installation (a gateway): everything but its port */
  readonly environment: Readonly<Record<string, string>>;
  /** Starts one more controller; the environment's empty strings unset what the world sets. */
  startController(environment?: Readonly<Record<string, string>>): Promise<ControllerProcess>;
  /** A home that the user's first box finds. */
  makeHome(user: string): Promise<void>;
  /** Ends what runs, and removes every container, network and file of this world. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface ControllerProcess extends RunningProcess {
  readonly url: string;
  /** Waits until `/readyz` says that it leads and has looked at every box. */
  converged(): Promise<void>;
  ask(method: string, path: string, body?: unknown): Promise<{ status: number; json: unknown }>;
}

/** On the engine at `dockerHost`, or on the one that all tests share; `main` is what is started as a controller. */
export async function createControllerWorld(dockerHost?: string, main = mainFile): Promise<ControllerWorld> {
  const docker = await createDockerWorld(dockerHost);
  const redis = await startRedis().catch(async (error: unknown) => {
    await docker.dispose();
    throw error;
  });
  const processes = new Set<ControllerProcess>();
  const environment = {
    SPOON_REDIS_URL: redis.url,
    SPOON_INSTALLATION_ID: docker.installation,
    SPOON_AGENT_WORKDIR: docker.workdir,
    SPOON_AGENT_WORKER_INTERNAL_TOKEN: apiToken,
    SPOON_AGENT_TERMINAL_SECRET: 'test-terminal-secret-0123456789',
    SPOON_LOG_LEVEL: 'info',
    ...(dockerHost === undefined ? {} : { DOCKER_HOST: dockerHost }),
  };
  return {
    docker,
    redis,
    environment,
    async startController(more = {}) {
      const started = await startControllerProcess(main, { ...environment, ...more });
      processes.add(started);
      return started;
    },
    async makeHome(user) {
      const home = join(docker.workdir, 'homes', user);
      await mkdir(home, { recursive: true });
      if (process.getuid?.() === 0) await chown(home, boxUid, boxUid);
    },
    async [Symbol.asyncDispose]() {
      for (const running of processes) await running.kill();
      await docker.dispose();
      await redis[Symbol.asyncDispose]();
    },
  };
}

async function startControllerProcess(
  main: string,
  settings: Readonly<Record<string, string>>,
): Promise<ControllerProcess> {
  // One that comes in the place of another is told where that was.
  const port = Number(settings.SPOON_CONTROLLER_PORT ?? (await freePort()));
  const url = `http://127.0.0.1:${port}`;
  const child = startProcess(main, { ...settings, SPOON_CONTROLLER_PORT: String(port) });

  async function ask(method: string, path: string, body?: unknown): Promise<{ status: number; json: unknown }> {
    const response = await fetch(url + path, {
      method,
      headers: {
        authorization: `Bearer ${apiToken}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const text = await response.text();
    return { status: response.status, json: text === '' ? null : JSON.parse(text) };
  }

  return {
    ...child,
    url,
    ask,
    async converged() {
      const giveUpAt = performance.now() + readyWithinMs;
      for (;;) {
        child.mustRun();
        // Before it listens a connection is refused.
        const answer = await ask('GET', '/readyz').catch(() => null);
        if (Converged.safeParse(answer?.json).success) return;
        if (performance.now() >= giveUpAt) {
          throw new Error(`the controller has not converged in ${readyWithinMs} ms: ${JSON.stringify(answer)}`);
        }
        await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
      }
    },
  };
}

/** It leads, a resync of its own has ended, and no user waits for the pass that the resync asked for. */
const Converged = z.object({
  ok: z.literal(true),
  leader: z.object({
    leads: z.literal(true),
    term: z.object({ waiting: z.literal(0), processing: z.literal(0), lastResyncAgoMs: z.number() }),
  }),
});
