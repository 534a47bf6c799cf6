import type { RedisPort } from '#shared/redis-port.ts';
import { SimRedis } from '../sim/sim-redis.ts';
import { entriesAfter } from '../sim/sim-stream.ts';

/** The project's own scripts on a Redis in memory, which answers at once. */
export function simPort(): RedisPort {
  const listeners = new Map<string, Set<(payload: string) => void>>();
  const publish = (channel: string, payload: string): void => {
    for (const listener of listeners.get(channel) ?? []) queueMicrotask(() => listener(payload));
  };
  const redis = new SimRedis({ clock: () => Date.now(), publish });
  return {
    run: async (script, keys, args) => redis.run(script, keys, args.map(String)),
    hashValues: async (key) => [...redis.hash(key).values()],
    streamTail: async (key, count) =>
      redis
        .stream(key)
        .toReversed()
        .slice(0, count)
        .map(({ id, fields }) => ({ id: String(id), fields: [...fields] })),
    streamAfter: async (key, id, count) =>
      entriesAfter(redis.stream(key), id)
        .slice(0, count)
        .map((entry) => ({ id: entry.id, fields: [...entry.fields] })),
    runId: async () => redis.runId(),
    async subscribe(channel, onMessage) {
      const set = listeners.get(channel) ?? new Set();
      listeners.set(channel, set.add(onMessage));
      return async () => void set.delete(onMessage);
    },
    close: async () => {},
  };
}
