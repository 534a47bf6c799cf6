import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { ensureConsole } from './machine/console.ts';
import { consoleLine } from './machine/console-line.ts';
import { ensureEngine } from './machine/engine.ts';
import { ensureBoxImage } from './machine/image.ts';
import { endLeftovers, serviceSpecs } from './machine/installation.ts';
import { makeStateDir, places, root } from './machine/places.ts';
import { requireFreePort } from './machine/ports.ts';
import { ensureRedis } from './machine/redis.ts';
import { claimStart, releaseStart, writePrivately } from './machine/run-record.ts';
import { type Interruption, readFlags, runScript } from './machine/script.ts';
import { Service } from './machine/service.ts';
import { readPort, readSecrets, readSettings } from './machine/settings.ts';
import { say, step } from './machine/steps.ts';

const usage = `Usage: npm start [-- FLAGS]

Brings up everything that Spoonbox needs and runs it in the foreground: Docker engine, Redis, box image,
console, controller, gateway. Ctrl-C drains the two processes and leaves boxes running; npm run down stops all.

  --no-install      install no system packages: refuse instead
  --rebuild-image   build the box image even if it is there
  --verbose         show all log lines, not only warnings and errors
  --help            this text

Settings come from the environment, then from .env, then from what an earlier start made (.spoonbox/secrets.env):
SPOON_REDIS_URL, DOCKER_HOST, SPOON_CONTROLLER_PORT (3922), SPOON_GATEWAY_PORT (3921), SPOON_AGENT_WORKDIR,
SPOON_BOX_IMAGE and the others of the README's table.`;

/** Beyond the time that a process gives itself to drain. */
const drainMarginMs = 10_000;
const defaultDrainMs = 20_000;

await runScript('npm start', async (interruption) => {
  const flags = readFlags(usage, ['no-install', 'rebuild-image', 'verbose'], process.argv.slice(2));
  if (typeof flags === 'number') return flags;
  makeStateDir();
  claimStart();
  try {
    return await start(flags, interruption);
  } finally {
    releaseStart();
  }
});

async function start(
  flags: ReadonlySet<'no-install' | 'rebuild-image' | 'verbose'>,
  { signal, urgent }: Interruption,
): Promise<number> {
  const settings = readSettings();
  const mayInstall = !flags.has('no-install');
  await endLeftovers(signal);
  await requireFreePort(readPort(settings, 'SPOON_CONTROLLER_PORT', 3922), 'controller', 'SPOON_CONTROLLER_PORT');
  await requireFreePort(readPort(settings, 'SPOON_GATEWAY_PORT', 3921), 'gateway', 'SPOON_GATEWAY_PORT');

  const engine = await step('Docker engine', (s) => ensureEngine(settings, mayInstall, s, signal));
  const secrets = await step('Secrets', async (s) => {
    const { secrets: kept, made } = readSecrets(settings);
    s.done(made.length === 0 ? 'all there' : `made ${made.join(', ')} in ${places.secrets}`);
    return kept;
  });
  const redisUrl = await step('Redis', (s) =>
    ensureRedis(settings, secrets.REDIS_PASSWORD ?? '', engine, mayInstall, s, signal),
  );
  await step('Box image', (s) =>
    ensureBoxImage(engine, settings, { rebuild: flags.has('rebuild-image'), mayInstall }, s, signal),
  );
  await step('Console', (s) => ensureConsole(s, signal));
  mkdirSync(resolve(root, settings.SPOON_AGENT_WORKDIR ?? places.work), { recursive: true });

  const specs = serviceSpecs(settings, secrets, redisUrl, flags.has('verbose'));
  const services = [new Service(specs.controller), new Service(specs.gateway)];
  try {
    await Promise.all(
      services.map((service) =>
        step(service.spec.name === 'controller' ? 'Controller' : 'Gateway', async (s) => {
          await service.start((text) => s.progress(text), signal);
          s.done(`${service.spec.address} (pid ${service.pid})`);
        }),
      ),
    );
    writePrivately(places.client, `${JSON.stringify(specs.client, undefined, 2)}\n`);
    const link = await consoleLine(specs.client, signal);
    say(`
Spoonbox runs.
  API               ${specs.client.server}
  terminals         ${specs.client.gateway}
  token             in ${places.client}
  logs              ${places.logs}
  console           ${link}

In a second shell:  npx spoonbox attach alice
Ctrl-C stops the two processes and leaves boxes running; npm run down stops everything.
`);
    const end = new AbortController();
    const watched = AbortSignal.any([signal, end.signal]);
    try {
      await Promise.race([once(signal, 'abort'), ...services.map((service) => service.keepAlive(watched))]);
    } finally {
      end.abort();
    }
  } finally {
    const graceMs = Number(settings.SPOON_DRAIN_MS ?? defaultDrainMs) + drainMarginMs;
    say('Draining controller and gateway (Ctrl-C again ends them at once) …');
    const drained = await Promise.all(services.map((service) => service.stop(graceMs, urgent)));
    say(drained.every(Boolean) ? 'Both have drained.' : 'Not both drained in time: they were killed.');
    say('Boxes, Redis and the Docker engine run on: npm start finds them again, npm run down stops them.');
  }
  return 0;
}
