import { once } from 'node:events';
import { join } from 'node:path';
import { createAccessStore } from '#shared/access-store.ts';
import type { BoxClass } from '#shared/box-class.ts';
import { createBoxStore } from '#shared/box-store.ts';
import { defaultClassName, idlePoliciesOf, loadClasses } from '#shared/classes.ts';
import { systemClock } from '#shared/clock.ts';
import { readConfig } from '#shared/config.ts';
import { connectDocker } from '#shared/docker.ts';
import { keysOf } from '#shared/identity.ts';
import { claimRedis, readInstallation } from '#shared/installation.ts';
import { createLogger } from '#shared/log.ts';
import { connectRedis } from '#shared/redis.ts';
import { addProcessMetrics } from '#shared/metrics.ts';
import { boundDrain, runProcess } from '#shared/run-process.ts';
import { vaultKeysOf } from '#shared/vault-seal.ts';
import { createVaultStore } from '#shared/vault-store.ts';
import { openTracing } from '#shared/tracing.ts';
import { recordingsFolder } from '#shared/workdir.ts';
import { createDockerCommands } from './exec/command-docker.ts';
import { createDockerExec } from './exec/docker-exec.ts';
import { startGateway } from './gateway.ts';
import { defaultLimits } from './limits.ts';
import { GatewayMeter } from './metrics/gateway-meter.ts';
import { defaultRecordingLimits } from './recording/limits.ts';
import { Recordings } from './recording/recordings.ts';
import type { TerminalSettings } from './terminal-settings.ts';

/** What is left of the drain for closing sockets and giving back the registration. */
const closingMs = 2_000;

await runProcess('gateway', async (signal) => {
  const config = readConfig(process.env);
  const clock = systemClock;
  const log = createLogger({ name: 'gateway', level: config.logLevel });
  boundDrain(signal, config.drainMs, log);
  for (const warning of config.warnings) log.warn(warning);
  const installation = readInstallation(config.workdir, config.installationId);
  const classes = loadClasses(config.classesDir, config);
  const redis = connectRedis(config.redisUrl, log);
  const keys = keysOf(installation);
  const store = createBoxStore({
    redis,
    keys,
    policies: idlePoliciesOf(classes),
    defaultClass: defaultClassName,
  });
  const vaults = createVaultStore({ redis, keys, seal: vaultKeysOf(config) });
  const connect = (): ReturnType<typeof connectDocker> => connectDocker(config.dockerHost);
  const dir = join(config.workdir, recordingsFolder);
  const recordings = new Recordings({ dir, clock, log, limits: defaultRecordingLimits });
  const tracing = await openTracing({ url: config.otlpUrl, service: 'spoonbox-gateway', log });
  const meter = new GatewayMeter();
  addProcessMetrics(meter.registry);
  const gateway = await startGateway({
    store,
    exec: createDockerExec({ connect, clock, log }),
    clock,
    log,
    limits: { ...defaultLimits, graceMs: config.terminalGraceMs },
    terminalOf: (name) => terminalSettings(classes.get(name) ?? classes.get(defaultClassName)),
    environment: (user) => vaults.environment(user),
    recordings,
    secret: config.terminalSecret,
    vaultKeyIds: vaults.keyIds,
    legacyTokens: config.legacyTokens,
    jobs: {
      commands: createDockerCommands({ connect, clock, log }),
      apiToken: config.internalToken,
      access: createAccessStore({ redis, keys }),
    },
    allowedOrigins: config.allowedOrigins,
    trustedProxies: config.trustedProxies,
    bind: config.bind,
    port: config.gatewayPort,
    publicUrl: config.publicWsUrl,
    meter,
    tracing,
  });
  try {
    // What is missing shows in /readyz, and in the log of the connection itself.
    await claimRedis(redis, installation, { clock, log, onProblem: () => {} }, signal);
    if (!signal.aborted) await once(signal, 'abort');
  } finally {
    await gateway.drain(Math.max(0, config.drainMs - closingMs));
    await recordings.close();
    await redis.close();
    await tracing.close();
  }
  log.info('stopped; the boxes go on');
});

function terminalSettings(boxClass: BoxClass | undefined): TerminalSettings {
  const { persist, record } = boxClass?.terminal ?? { persist: 'none', record: 'off' };
  return { persist, record, attachedIdleMs: boxClass?.idle.attached ?? Number.POSITIVE_INFINITY };
}
