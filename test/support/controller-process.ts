import { type ChildProcess, spawn } from 'node:child_process';
import { chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { createDockerWorld, type DockerWorld } from './docker.ts';
import { freePort, startRedis, type TestRedis } from './redis.ts';

const mainFile = new URL('../../controller/src/main.ts', import.meta.url).pathname;
const readyWithinMs = 60_000;
const lookEveryMs = 10;
/** A process that was told to stop gets this long before it is killed. */
const stopWithinMs = 30_000;
/** Log lines that are kept of each process. */
const maxLines = 20_000;
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

export interface ControllerProcess {
  readonly url: string;
  readonly pid: number;
  /** `performance.now()` of this process just before that one was started */
  readonly startedAtMs: number;
  /** what it has logged so far, newest last, and what it wrote to standard error */
  readonly lines: readonly string[];
  /** Waits until `/readyz` says that it leads and has looked at every box. */
  converged(): Promise<void>;
  ask(method: string, path: string, body?: unknown): Promise<{ status: number; json: unknown }>;
  /** SIGTERM; answers the exit code. */
  stop(): Promise<number | null>;
  /** SIGKILL. */
  kill(): Promise<void>;
}

export async function createControllerWorld(): Promise<ControllerWorld> {
  const docker = await createDockerWorld();
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
  };
  return {
    docker,
    redis,
    environment,
    async startController(more = {}) {
      const started = await startControllerProcess({ ...environment, ...more });
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

async function startControllerProcess(settings: Readonly<Record<string, string>>): Promise<ControllerProcess> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const env = { ...withoutOurs(process.env), ...settings, SPOON_CONTROLLER_PORT: String(port) };
  const startedAtMs = performance.now();
  const child = spawn(process.execPath, [mainFile], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', resolve);
  });
  const lines = collectLines(child);

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

  async function end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    if (!hasEnded(child)) child.kill(signal);
    const force = setTimeout(() => child.kill('SIGKILL'), stopWithinMs);
    try {
      return await exited;
    } finally {
      clearTimeout(force);
    }
  }

  return {
    url,
    pid: child.pid ?? 0,
    startedAtMs,
    lines,
    ask,
    async converged() {
      const giveUpAt = performance.now() + readyWithinMs;
      for (;;) {
        if (hasEnded(child)) throw new Error(`the controller ended with ${child.exitCode}:\n${lines.join('\n')}`);
        // Before it listens a connection is refused.
        const answer = await ask('GET', '/readyz').catch(() => null);
        if (Converged.safeParse(answer?.json).success) return;
        if (performance.now() >= giveUpAt) {
          throw new Error(`the controller has not converged in ${readyWithinMs} ms: ${JSON.stringify(answer)}`);
        }
        await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
      }
    },
    stop: () => end('SIGTERM'),
    async kill() {
      await end('SIGKILL');
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

/** What a developer has set for an installation of their own must not reach a test's; the engine and the image do. */
function withoutOurs(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(([name]) => !name.startsWith('SPOON_') || name === 'SPOON_BOX_IMAGE');
  return Object.fromEntries(kept);
}

function collectLines(child: ChildProcess): string[] {
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      if (lines.length > maxLines) lines.shift();
    });
  }
  return lines;
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
