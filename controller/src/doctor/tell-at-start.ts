import type { Logger } from '#shared/log.ts';
import type { RedisServer } from '#shared/redis-server.ts';
import type { DoctorConfig } from './check.ts';
import { redisFindings } from './redis.ts';
import { weakSecrets } from './secrets.ts';

/**
 * What loses work or lets strangers in is told in the log of a start, too, one line each, and not only to who asks. The start goes on.
 * Never rejects.
 */
export async function tellAtStart(deps: {
  readonly config: DoctorConfig;
  readonly readRedis: () => Promise<RedisServer>;
  readonly log: Logger;
}): Promise<void> {
  const { config, readRedis, log } = deps;
  for (const { verdict, check, found, mend } of [...weakSecrets(config), ...(await redisFindings(readRedis))]) {
    if (verdict !== 'ok') log.warn({ check, mend }, `${check}: ${found}`);
  }
}
