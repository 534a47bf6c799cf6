import { createBoxStore } from '#shared/box-store.ts';
import { systemClock } from '#shared/clock.ts';
import { readConfig } from '#shared/config.ts';
import { connectDocker } from '#shared/docker.ts';
import { StartError } from '#shared/faults.ts';
import { keysOf } from '#shared/identity.ts';
import { readInstallation } from '#shared/installation.ts';
import { createLogger } from '#shared/log.ts';
import { connectRedis } from '#shared/redis.ts';
import { createDockerExec } from './exec/docker-exec.ts';
import { startGateway } from './gateway.ts';
import { defaultLimits } from './limits.ts';

/** The gateway process: wiring only. */
async function main(): Promise<void> {
  const config = readConfig(process.env);
  const log = createLogger({ name: 'gateway', level: config.logLevel });
  for (const warning of config.warnings) log.warn(warning);
  const installation = readInstallation(config.workdir, config.installationId);
  const docker = await connectDocker(config.dockerHost);
  const redis = connectRedis(config.redisUrl, log);
  // Idle policies decide what holds a box; the gateway asks for phase and container only.
  const policies = { '*': [0, 0] } as const;
  const store = createBoxStore({ redis, keys: keysOf(installation), policies, defaultClass: 'default' });
  const gateway = await startGateway({
    store,
    exec: createDockerExec({ docker, clock: systemClock, log }),
    clock: systemClock,
    log,
    limits: defaultLimits,
    secret: config.terminalSecret,
    allowedOrigins: config.allowedOrigins,
    bind: config.bind,
    port: config.gatewayPort,
    publicUrl: config.publicWsUrl,
  });

  let stopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    if (stopping) {
      log.warn({ signal }, 'told to stop twice: ending at once');
      process.exit(1);
    }
    stopping = true;
    log.info({ signal }, 'told to stop');
    gateway
      .drain(config.drainMs)
      .then(() => redis.close())
      .then(
        () => process.exit(0),
        (error: unknown) => {
          log.error({ error }, 'the drain failed');
          process.exit(1);
        },
      );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

main().catch((error: unknown) => {
  if (error instanceof StartError) {
    process.stderr.write(`${error.message}\n`);
    process.exit(error.exitCode);
  }
  throw error;
});
