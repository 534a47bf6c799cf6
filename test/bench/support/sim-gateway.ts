import { once } from 'node:events';
import { createBoxStore } from '#shared/box-store.ts';
import { systemClock } from '#shared/clock.ts';
import { readConfig } from '#shared/config.ts';
import { InstallationId, keysOf } from '#shared/identity.ts';
import { createLogger } from '#shared/log.ts';
import { connectRedis } from '#shared/redis.ts';
import { runProcess } from '#shared/run-process.ts';
import { defaultConnectRates } from '../../../gateway/src/connect-rate.ts';
import { startGateway } from '../../../gateway/src/gateway.ts';
import { defaultLimits } from '../../../gateway/src/limits.ts';
import { createSimExec } from './sim-exec.ts';

/**
 * The program of a child process: a gateway wired as `main.ts` does it, with a simulated engine, and with its usual limits but
 * for one: all the clients of a benchmark come from one address.
 */

const connectRates = { ...defaultConnectRates, address: { burst: 10_000, perSecond: 10_000 } };

await runProcess('gateway', async (signal) => {
  const config = readConfig(process.env);
  const log = createLogger({ name: 'gateway', level: config.logLevel });
  const redis = connectRedis(config.redisUrl, log);
  const keys = keysOf(InstallationId.parse(config.installationId));
  const gateway = await startGateway({
    store: createBoxStore({ redis, keys, policies: { '*': [0, 0] }, defaultClass: 'default' }),
    exec: createSimExec(),
    clock: systemClock,
    log,
    limits: { ...defaultLimits, connectRates },
    terminalOf: () => ({ persist: 'none', record: 'off', attachedIdleMs: 28_800_000 }),
    environment: () => Promise.resolve({ variables: {}, unreadable: [] }),
    recordings: null,
    secret: config.terminalSecret,
    vaultKeyIds: [],
    jobs: null,
    allowedOrigins: [],
    trustedProxies: [],
    bind: config.bind,
    port: config.gatewayPort,
    publicUrl: null,
  });
  await once(signal, 'abort');
  await gateway.drain(config.drainMs);
  await redis.close();
});
