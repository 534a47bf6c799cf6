import { once } from 'node:events';
import { createBoxStore } from '#shared/box-store.ts';
import { systemClock } from '#shared/clock.ts';
import { readConfig } from '#shared/config.ts';
import { connectDocker } from '#shared/docker.ts';
import { keysOf } from '#shared/identity.ts';
import { claimRedis, readInstallation } from '#shared/installation.ts';
import { createLogger } from '#shared/log.ts';
import { connectRedis } from '#shared/redis.ts';
import { boundDrain, runProcess } from '#shared/run-process.ts';
import { createDockerExec } from './exec/docker-exec.ts';
import { startGateway } from './gateway.ts';
import { defaultLimits } from './limits.ts';

/** What is left of the drain for closing sockets and giving back the registration. */
const closingMs = 2_000;

await runProcess('gateway', async (signal) => {
  const config = readConfig(process.env);
  const clock = systemClock;
  const log = createLogger({ name: 'gateway', level: config.logLevel });
  boundDrain(signal, config.drainMs, log);
  for (const warning of config.warnings) log.warn(warning);
  const installation = readInstallation(config.workdir, config.installationId);
  const redis = connectRedis(config.redisUrl, log);
  const store = createBoxStore({
    redis,
    keys: keysOf(installation),
    // They decide how long a box is held; the gateway reads phase and container only.
    policies: { '*': [0, 0] },
    defaultClass: 'default',
  });
  const gateway = await startGateway({
    store,
    exec: createDockerExec({ connect: () => connectDocker(config.dockerHost), clock, log }),
    clock,
    log,
    limits: defaultLimits,
    secret: config.terminalSecret,
    allowedOrigins: config.allowedOrigins,
    bind: config.bind,
    port: config.gatewayPort,
    publicUrl: config.publicWsUrl,
  });
  try {
    // What is missing shows in /readyz, and in the log of the connection itself.
    await claimRedis(redis, installation, { clock, log, onProblem: () => {} }, signal);
    if (!signal.aborted) await once(signal, 'abort');
  } finally {
    await gateway.drain(Math.max(0, config.drainMs - closingMs));
    await redis.close();
  }
  log.info('stopped; the boxes go on');
});
