import { noLimits } from '#shared/config.ts';
import { fastify } from 'fastify';
import { systemClock } from '#shared/clock.ts';
import { InstallationId, keysOf } from '#shared/identity.ts';
import { createLogger } from '#shared/log.ts';
import { connectRedis } from '#shared/redis.ts';
import { createVaultStore } from '#shared/vault-store.ts';
import { createApi } from '../../../controller/src/api/api.ts';
import { createLeaderStore } from '../../../controller/src/store/leader-store.ts';
import { onlookingParts } from '../../support/onlooking-parts.ts';
import { createSimRuntime } from '../../support/sim-runtime.ts';
import { type ServerPorts, ServerSettings } from './api-server-port.ts';
import { benchClasses, benchStore } from './population.ts';

/** The program of a child process: the API on a real Redis, and beside it one bare route that answers a text of the same size. */

const settings = ServerSettings.parse(JSON.parse(process.argv[2] ?? ''));
const log = createLogger({ name: 'api', level: 'warn' });
const redis = connectRedis(settings.redisUrl, log);
const installation = InstallationId.parse(settings.installation);
const keys = keysOf(installation);
const store = benchStore(redis, installation);
const runtime = createSimRuntime({ installation, clock: systemClock });
const secrets = { internalToken: settings.token, terminalSecret: settings.token };
const api = createApi({
  ...{ store, redis, keys, classes: benchClasses },
  vault: createVaultStore({ redis, keys, seal: null }),
  ...onlookingParts({
    store,
    leaderStore: createLeaderStore(redis, keys),
    runtime,
    classes: benchClasses,
    installation,
  }),
  config: {
    ...secrets,
    ...{
      publicWsUrl: null,
      gatewayPort: 3921,
      publicUrl: 'http://127.0.0.1:3922',
      apiRequestsPerS: 1_000_000,
      trustedProxies: [],
      limits: noLimits,
    },
  },
  health: { ready: () => ({ ok: true, reasons: [] }), leader: () => ({}) },
  log,
  clock: systemClock,
});
const bare = fastify();
bare.get('/bare', async () => settings.bareAnswer);

const apiUrl = await api.listen('127.0.0.1', 0);
const bareUrl = await bare.listen({ host: '127.0.0.1', port: 0 });
process.on('disconnect', () => process.exit(0));
process.send?.({ apiUrl, bareUrl } satisfies ServerPorts);
