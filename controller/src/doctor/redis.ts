import { failure, type Finding, ok, warning } from '#shared/finding.ts';
import { humanBytes } from '#shared/human-bytes.ts';
import type { RedisServer } from '#shared/redis-server.ts';
import type { Check } from './check.ts';

const fullAtShare = 0.9;
const nearlyFullAtShare = 0.75;
/** In words of redis.conf. */
const howToSet = 'in redis.conf, or `CONFIG SET` and `CONFIG REWRITE`';

export const redisCheck: Check = {
  name: 'Redis',
  looksAt:
    'Redis answers and is no replica; it keeps an append-only file (`appendonly yes`, fsync every second or always) whose last write and last snapshot went well; it evicts nothing (`maxmemory-policy noeviction`); it is not nearly full.',
  run: ({ readRedis }) => redisFindings(readRedis),
};

/** Never rejects: that it cannot be asked is a finding. */
export async function redisFindings(readRedis: () => Promise<RedisServer>): Promise<readonly Finding[]> {
  let server: RedisServer;
  try {
    server = await readRedis();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const mend = 'start it, or check SPOON_REDIS_URL and its password; boxes and open terminals go on meanwhile';
    return [failure('Redis', `it cannot be asked: ${why}`, mend)];
  }
  return [reached(server), persistence(server), eviction(server), memory(server)];
}

function reached({ version, replicaOf }: RedisServer): Finding {
  if (replicaOf === null) return ok('Redis', `${version} answers`);
  return failure('Redis', `it is a replica of ${replicaOf}`, 'set SPOON_REDIS_URL to the server that takes writes');
}

/** Revoked tokens, leases and the vault are in there: a restart must not lose them. */
function persistence({ appendOnly, appendFsync, appendOk, snapshotOk }: RedisServer): Finding {
  const check = 'Redis persistence';
  if (!appendOnly) {
    const found = 'there is no append-only file: a restart loses leases, API tokens and the vault';
    return failure(check, found, `set \`appendonly yes\` ${howToSet}, and keep its folder on a volume`);
  }
  if (!appendOk || !snapshotOk) {
    const which = appendOk ? 'snapshot' : 'write of the append-only file';
    return failure(check, `the last ${which} failed`, "make room on its disk, and look at Redis' log");
  }
  if (appendFsync === 'no') {
    const found = 'the append-only file is left to the kernel: a power cut loses half a minute';
    return warning(check, found, `set \`appendfsync everysec\` ${howToSet}`);
  }
  return ok(check, `append-only file, fsync ${appendFsync ?? 'unknown (CONFIG is not allowed)'}`);
}

function eviction({ evictionPolicy, maxMemoryBytes }: RedisServer): Finding {
  const check = 'Redis eviction';
  const mend = `set \`maxmemory-policy noeviction\` ${howToSet}`;
  if (evictionPolicy === 'noeviction') return ok(check, evictionPolicy);
  const found = `${evictionPolicy}: keys may be thrown away`;
  if (maxMemoryBytes === 0) return warning(check, `${found} as soon as maxmemory is set`, mend);
  return failure(check, `${found} at ${humanBytes(maxMemoryBytes)}, leases and the vault among them`, mend);
}

function memory({ usedMemoryBytes, maxMemoryBytes }: RedisServer): Finding {
  const check = 'Redis memory';
  const used = humanBytes(usedMemoryBytes);
  if (maxMemoryBytes === 0) return ok(check, `${used}, without a limit of its own`);
  const share = usedMemoryBytes / maxMemoryBytes;
  const found = `${used} of ${humanBytes(maxMemoryBytes)}`;
  const mend = 'raise `maxmemory`: a full Redis refuses new leases';
  if (share > fullAtShare) return failure(check, found, mend);
  return share > nearlyFullAtShare ? warning(check, found, mend) : ok(check, found);
}
