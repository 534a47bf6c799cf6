import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { Engine } from './machine/docker.ts';
import { stopOwnEngine, whyUnusable } from './machine/engine.ts';
import { endLeftovers, serviceSpecs } from './machine/installation.ts';
import { makeStateDir, places, root, stateDir } from './machine/places.ts';
import { firstFreePort } from './machine/ports.ts';
import { awaitEnd, signalProcess } from './machine/processes.ts';
import { reapAll } from './machine/reap.ts';
import { ensureRedis, hasOwnRedis, stopOwnRedis } from './machine/redis.ts';
import { Refusal } from './machine/refusal.ts';
import { runningStarter } from './machine/run-record.ts';
import { type Interruption, readFlags, runScript } from './machine/script.ts';
import { Service } from './machine/service.ts';
import { readSecrets, readSettings, type Settings } from './machine/settings.ts';
import { say, step } from './machine/steps.ts';

const usage = `Usage: npm run down

Reaps all boxes and stops what npm start started: controller, gateway, our own Redis, and the Docker engine if it
was started by npm start. Homes, Redis's data and the secrets stay.

  --help   this text`;

const starterEndsWithinMs = 60_000;
const controllerGraceMs = 30_000;
/** The controller that reaps listens where nobody asks it for new boxes. */
const reaperFirstPort = 39_220;
const reaperPortsTried = 100;

await runScript('npm run down', async (interruption) => {
  const flags = readFlags(usage, [], process.argv.slice(2));
  if (typeof flags === 'number') return flags;
  if (!existsSync(stateDir)) {
    say('Nothing to stop: npm start has never run here.');
    return 0;
  }
  makeStateDir();
  await down(interruption);
  return 0;
});

/**
 * The running processes go first: as long as a gateway serves terminals, their owners come back for the boxes that
 * are being reaped. Then a controller of our own, on a port nobody knows, does the reaping.
 */
async function down({ signal, urgent }: Interruption): Promise<void> {
  const settings = readSettings();
  await endStarter(signal);
  await endLeftovers(signal);

  const engine = new Engine(settings.DOCKER_HOST);
  const answer = await engine.ask();
  if (answer.kind === 'forbidden' || answer.kind === 'broken') throw new Refusal(whyUnusable(engine, answer));
  const reachable = answer.kind === 'answers';
  const { secrets } = readSecrets(settings);
  const password = secrets.REDIS_PASSWORD ?? '';
  if (!reachable) {
    say(`--  Boxes: no Docker engine answers at ${engine.address}, so none runs`);
  } else if (settings.SPOON_REDIS_URL === undefined && !hasOwnRedis()) {
    say('--  Boxes: no Redis was ever started here, so there are none');
  } else {
    const url = await step('Redis', (s) => ensureRedis(settings, password, engine, false, s, signal));
    await reapWithOwnController(settings, secrets, url, { signal, urgent });
  }

  if (settings.SPOON_REDIS_URL === undefined) {
    await step('Redis', async (s) => {
      const stopped = await stopOwnRedis(password, reachable ? engine : undefined, signal);
      s.done(stopped ? `stopped; its data stays in ${places.redis}` : 'did not run');
    });
  }
  await step('Docker engine', async (s) => {
    const ended = reachable ? await stopOwnEngine(settings, signal) : 'did not answer';
    s.done(ended ?? 'left running: npm start did not start it');
  });
  say(`Homes stay in ${resolve(root, settings.SPOON_AGENT_WORKDIR ?? places.work)}/homes.`);
}

async function endStarter(signal: AbortSignal): Promise<void> {
  const starter = runningStarter();
  if (starter === undefined) return;
  await step('Controller and gateway', async (s) => {
    s.progress(`asking npm start (pid ${starter.pid}) to drain them`);
    signalProcess(starter, 'SIGTERM');
    if (!(await awaitEnd(starter, starterEndsWithinMs, signal))) {
      throw new Refusal(`npm start (pid ${starter.pid}) does not end: press Ctrl-C twice there, then try again`);
    }
    s.done('drained and stopped');
  });
}

async function reapWithOwnController(
  settings: Settings,
  secrets: Settings,
  redisUrl: string,
  { signal, urgent }: Interruption,
): Promise<void> {
  await step('Boxes', async (s) => {
    s.progress('starting a controller to reap them');
    const port = await firstFreePort(reaperFirstPort, reaperPortsTried);
    if (port === undefined)
      throw new Refusal(`no port from ${reaperFirstPort} on is free for the controller that reaps`);
    const specs = serviceSpecs({ ...settings, SPOON_CONTROLLER_PORT: String(port) }, secrets, redisUrl, false);
    const controller = new Service(specs.controller);
    try {
      await controller.start((text) => s.progress(`controller: ${text}`), signal);
      const reaped = await reapAll(specs.client, (text) => s.progress(text), signal);
      s.done(reaped === 0 ? 'none' : `${reaped} reaped`);
    } finally {
      await controller.stop(controllerGraceMs, urgent);
    }
  });
}
