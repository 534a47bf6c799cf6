import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { installPackages, whyNoInstall } from './apt.ts';
import { runCommand, which } from './command.ts';
import type { Engine } from './docker.ts';
import { places, stateDir } from './places.ts';
import { firstFreePort } from './ports.ts';
import { isAlive, markOf } from './processes.ts';
import { Refusal, reasonOf } from './refusal.ts';
import { readRecord, updateRecord } from './run-record.ts';
import type { Settings } from './settings.ts';
import { type Step, say } from './steps.ts';

/** Beside Redis's usual port, where the distribution's own service may run. */
const firstPort = 6390;
const portsTried = 10;
const containerImage = 'redis:7-alpine';
const connectTimeoutMs = 2_000;
/** Loading a large append-only file takes a while. */
const readyTimeoutMs = 60_000;
const pollMs = 50;

const config = join(places.redis, 'redis.conf');
const pidFile = join(places.redis, 'redis.pid');
const logFile = join(places.redis, 'redis.log');

/** The address of a Redis that answers: the one given, else our own, which is started where it does not run. */
export async function ensureRedis(
  settings: Settings,
  password: string,
  engine: Engine | undefined,
  mayInstall: boolean,
  step: Step,
  signal: AbortSignal,
): Promise<string> {
  const given = settings.SPOON_REDIS_URL;
  if (given !== undefined) {
    const reason = await whyNoAnswer(given);
    const shown = withoutPassword(given);
    if (reason !== undefined)
      throw new Refusal(
        `Redis at SPOON_REDIS_URL=${shown} does not answer (${reason}): start it, or unset SPOON_REDIS_URL`,
      );
    step.done(shown);
    return given;
  }
  const running = await runningPort(engine);
  const port = running ?? (await startOwn(password, engine, mayInstall, step, signal));
  const url = ownUrl(port, password);
  await awaitAnswer(url, step, signal);
  step.done(`${running === undefined ? 'started' : 'running'} on 127.0.0.1:${port}, data in ${places.redis}`);
  return url;
}

/** True when this checkout has a Redis of its own, running or not, that may hold state. */
export function hasOwnRedis(): boolean {
  return existsSync(config);
}

/** Stops our own Redis after it has written everything. False when it did not run. */
export async function stopOwnRedis(
  password: string,
  engine: Engine | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  const { redis } = readRecord();
  const port = await runningPort(engine);
  if (redis === undefined || port === undefined) {
    updateRecord({ redis: undefined });
    return false;
  }
  if (redis.container !== undefined) {
    await engine?.stopAndRemove(redis.container);
  } else {
    // The answer to SHUTDOWN is the end of the connection.
    await ask(ownUrl(port, password), (client) => client.call('SHUTDOWN').catch(() => undefined));
    for (let waitedMs = 0; isAlive(redis.process); waitedMs += pollMs) {
      if (waitedMs >= readyTimeoutMs)
        throw new Refusal(`Redis (pid ${redis.process?.pid}) does not stop: look at ${logFile}`);
      await sleep(pollMs, undefined, { signal });
    }
  }
  updateRecord({ redis: undefined });
  return true;
}

/** Installs `redis-server` where it is missing: for tests, which start their own. */
export async function ensureRedisServer(mayInstall: boolean, step: Step): Promise<void> {
  if (which('redis-server') === undefined) await installServer(mayInstall, step);
  step.done(which('redis-server') ?? '');
}

async function runningPort(engine: Engine | undefined): Promise<number | undefined> {
  const { redis } = readRecord();
  if (redis === undefined) return undefined;
  const runs = redis.container === undefined ? isAlive(redis.process) : await engine?.isRunning(redis.container);
  return runs === true ? redis.port : undefined;
}

async function startOwn(
  password: string,
  engine: Engine | undefined,
  mayInstall: boolean,
  step: Step,
  signal: AbortSignal,
): Promise<number> {
  const port = await firstFreePort(firstPort, portsTried);
  if (port === undefined) {
    throw new Refusal(
      `no port from ${firstPort} to ${firstPort + portsTried - 1} is free for Redis: stop what holds them, or set SPOON_REDIS_URL`,
    );
  }
  if (which('redis-server') === undefined && mayInstall && whyNoInstall() === undefined)
    await installServer(mayInstall, step);
  if (which('redis-server') !== undefined) await startProcess(port, password, step);
  else await startContainer(port, password, engine, step, signal);
  return port;
}

async function installServer(mayInstall: boolean, step: Step): Promise<void> {
  const why = mayInstall ? whyNoInstall() : '--no-install forbids it';
  if (why !== undefined) throw new Refusal(`redis-server is missing, and ${why}: install the package redis-server`);
  say('    no redis-server here: installing it with apt-get');
  await installPackages(['redis-server'], step);
  // The package enables a service of its own, which would come up with the next boot.
  if (existsSync('/run/systemd/system')) await runCommand('systemctl', ['disable', 'redis-server'], {});
}

async function startProcess(port: number, password: string, step: Step): Promise<void> {
  step.progress(`starting redis-server on port ${port}`);
  rmSync(pidFile, { force: true });
  writeFileSync(config, configText({ port, password, bind: '127.0.0.1', dir: places.redis, daemon: true }), {
    mode: 0o600,
  });
  try {
    await runCommand(which('redis-server') ?? 'redis-server', [config], {});
    for (let waitedMs = 0; waitedMs < connectTimeoutMs; waitedMs += pollMs) {
      const mark = existsSync(pidFile) ? markOf(Number(readFileSync(pidFile, 'utf8'))) : undefined;
      if (mark !== undefined) return updateRecord({ redis: { port, process: mark } });
      await sleep(pollMs);
    }
  } catch (error) {
    throw new Refusal(`Redis did not start (${reasonOf(error)}): ${lastLogLine()}`);
  }
  throw new Refusal(`Redis ended at once: ${lastLogLine()} (its log is ${logFile})`);
}

async function startContainer(
  port: number,
  password: string,
  engine: Engine | undefined,
  step: Step,
  signal: AbortSignal,
): Promise<void> {
  if (engine === undefined || !engine.isLocal) {
    throw new Refusal(
      'there is no redis-server here, and a remote Docker engine cannot hold its data for us: install redis-server, or set SPOON_REDIS_URL',
    );
  }
  if (!(await engine.hasImage(containerImage))) {
    try {
      step.progress(`no redis-server here: pulling ${containerImage}`);
      await engine.pull(containerImage, (text) => step.progress(`pulling ${containerImage}: ${text}`), signal);
    } catch (error) {
      signal.throwIfAborted();
      throw new Refusal(
        `there is no redis-server here, and ${containerImage} cannot be pulled (${reasonOf(error)}): install redis-server, or set SPOON_REDIS_URL`,
      );
    }
  }
  step.progress(`starting ${containerImage} as a container`);
  writeFileSync(config, configText({ port: 6379, password, bind: '*', dir: '/data', daemon: false }), { mode: 0o600 });
  // Two checkouts on one engine keep a container each.
  const container = `spoonbox-redis-${createHash('sha256').update(stateDir).digest('hex').slice(0, 8)}`;
  await engine.startAnew({
    name: container,
    image: containerImage,
    command: ['redis-server', '/data/redis.conf'],
    user: `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`,
    bind: `${places.redis}:/data`,
    containerPort: 6379,
    hostPort: port,
  });
  updateRecord({ redis: { port, container } });
}

function configText(of: { port: number; password: string; bind: string; dir: string; daemon: boolean }): string {
  const daemon = of.daemon ? `daemonize yes\npidfile "${pidFile}"\nlogfile "${logFile}"\n` : '';
  return `# Written by npm start at every start.
bind ${of.bind}
port ${of.port}
requirepass ${of.password}
dir "${of.dir}"
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
${daemon}`;
}

async function awaitAnswer(url: string, step: Step, signal: AbortSignal): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += pollMs) {
    const reason = await whyNoAnswer(url);
    if (reason === undefined) return;
    if (waitedMs >= readyTimeoutMs) throw new Refusal(`our Redis does not answer (${reason}): look at ${logFile}`);
    step.progress(`waiting for it to answer: ${reason}`);
    await sleep(pollMs, undefined, { signal });
  }
}

async function whyNoAnswer(url: string): Promise<string | undefined> {
  try {
    await ask(url, (client) => client.ping());
    return undefined;
  } catch (error) {
    return reasonOf(error);
  }
}

async function ask(url: string, question: (client: Redis) => Promise<unknown>): Promise<void> {
  const client = new Redis(url, { lazyConnect: true, connectTimeout: connectTimeoutMs, retryStrategy: () => null });
  let failure: unknown;
  // The event says why (refused, wrong password); the rejected promise only that the connection is closed.
  client.on('error', (error) => {
    failure = error;
  });
  try {
    await client.connect();
    await question(client);
  } catch (error) {
    throw failure ?? error;
  } finally {
    client.disconnect();
  }
}

const ownUrl = (port: number, password: string): string => `redis://:${password}@127.0.0.1:${port}/0`;

function withoutPassword(url: string): string {
  return url.replace(/\/\/[^@/]*@/, '//');
}

function lastLogLine(): string {
  return existsSync(logFile) ? (readFileSync(logFile, 'utf8').trimEnd().split('\n').at(-1) ?? '') : 'it wrote no log';
}
