import { fastify } from 'fastify';
import { systemClock } from '#shared/clock.ts';
import { InstallationId } from '#shared/identity.ts';
import { createLogger } from '#shared/log.ts';
import { connectRedis } from '#shared/redis.ts';
import { createApi } from '../../../controller/src/api/api.ts';
import { type ServerPorts, ServerSettings } from './api-server-port.ts';
import { benchClasses, benchStore } from './population.ts';

/** The program of a child process: the API on a real Redis, and beside it one bare route that answers a text of the same size. */

const settings = ServerSettings.parse(JSON.parse(process.argv[2] ?? ''));
const log = createLogger({ name: 'api', level: 'warn' });
const redis = connectRedis(settings.redisUrl, log);
const api = createApi({
  store: benchStore(redis, InstallationId.parse(settings.installation)),
  classes: benchClasses,
  config: { internalToken: settings.token, terminalSecret: settings.token, publicWsUrl: null, gatewayPort: 3921 },
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
