import { Redis } from 'ioredis';
import { createLogger } from '#shared/log.ts';
import { connectRedis } from '#shared/redis.ts';
import { startRedis } from '../support/redis.ts';
import { boxStoreContract } from './box-store.ts';

const log = createLogger({ name: 'box-store-test', level: 'silent' });

boxStoreContract('the state in a real Redis', async () => {
  const server = await startRedis();
  const cli = new Redis(server.url);
  cli.on('error', () => {}); // it waits for the server to come back
  return {
    connect: () => connectRedis(server.url, log),
    command: async (name = '', ...words) => await cli.call(name, ...words),
    restart: server.restart,
    flush: server.flush,
    async dispose() {
      cli.disconnect();
      await server[Symbol.asyncDispose]();
    },
  };
});
