import { Redis } from 'ioredis';

/** How a Redis server is set up, as it tells it itself. null = it does not tell. */
export interface RedisServer {
  readonly version: string;
  /** its clock, ms since 1970 */
  readonly timeMs: number;
  readonly usedMemoryBytes: number;
  /** 0 = no limit of its own */
  readonly maxMemoryBytes: number;
  readonly evictionPolicy: string;
  readonly appendOnly: boolean;
  /** `always`, `everysec`, `no`; null where CONFIG is not allowed */
  readonly appendFsync: string | null;
  /** the last write of the append-only file, and the last snapshot, went well */
  readonly appendOk: boolean;
  readonly snapshotOk: boolean;
  /** another server that this one copies; null = it is no replica */
  readonly replicaOf: string | null;
}

const answerWithinMs = 5_000;

/**
 * Asks the server at `url` on a connection of its own. Rejects with what ioredis says where it cannot be reached, refuses the
 * password, or does not allow INFO.
 */
export async function readRedisServer(url: string): Promise<RedisServer> {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: answerWithinMs,
    commandTimeout: answerWithinMs,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });
  // Each failure is told by the call that it failed.
  redis.on('error', () => {});
  try {
    await redis.connect();
    const told = fieldsOf(await redis.info());
    const [seconds, micros] = await redis.time();
    const role = told.get('role');
    return {
      version: told.get('redis_version') ?? '',
      timeMs: Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000),
      usedMemoryBytes: Number(told.get('used_memory') ?? 0),
      maxMemoryBytes: Number(told.get('maxmemory') ?? 0),
      evictionPolicy: told.get('maxmemory_policy') ?? '',
      appendOnly: told.get('aof_enabled') === '1',
      appendFsync: await settingOf(redis, 'appendfsync'),
      appendOk: (told.get('aof_last_write_status') ?? 'ok') === 'ok',
      snapshotOk: (told.get('rdb_last_bgsave_status') ?? 'ok') === 'ok',
      replicaOf: role === 'slave' ? `${told.get('master_host')}:${told.get('master_port')}` : null,
    };
  } finally {
    redis.disconnect();
  }
}

function fieldsOf(info: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of info.split(/\r?\n/)) {
    const at = line.indexOf(':');
    if (at > 0) fields.set(line.slice(0, at), line.slice(at + 1));
  }
  return fields;
}

/** CONFIG is often not allowed where Redis is somebody's service. */
async function settingOf(redis: Redis, name: string): Promise<string | null> {
  try {
    const pairs: unknown = await redis.config('GET', name);
    const value = Array.isArray(pairs) ? pairs[1] : null;
    return typeof value === 'string' ? value : null;
  } catch {
    return null;
  }
}
