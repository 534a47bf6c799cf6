import { createHash } from 'node:crypto';
import { Redis } from 'ioredis';
import type { Logger } from './log.ts';
import type { RedisPort, ScriptName } from './redis-port.ts';
import { scriptText } from './scripts.ts';

const connectTimeoutMs = 3_000;
/** A command that Redis has not answered by then is given up; its effect is unknown. */
const commandTimeoutMs = 5_000;
/** A connection on which a command was sent and nothing at all came back is given up: its peer may be gone without a word. */
const silentSocketMs = 5_000;
const reconnectMaxMs = 1_000;
/** Who only listens sends nothing, and would never learn that nobody is there any more: it asks this often. */
const subscriberPingEveryMs = 3_000;

interface Script {
  readonly text: string;
  readonly sha: string;
}

/**
 * Redis over ioredis. Commands fail at once while the connection is down (no offline queue): callers retry by their own
 * rules, and nothing is sent later than its sender believes.
 */
export function connectRedis(url: string, log: Logger): RedisPort {
  const scripts = new Map<ScriptName, Script>();
  const commands = openConnection(url, log, 'commands');
  const whenReady = readiness(commands);
  let subscriber: Redis | null = null;
  let subscribed = false;
  const listeners = new Map<string, Set<{ onMessage: (payload: string) => void; onGap: () => void }>>();

  function scriptOf(name: ScriptName): Script {
    let script = scripts.get(name);
    if (!script) {
      const text = scriptText(name);
      script = { text, sha: createHash('sha1').update(text).digest('hex') };
      scripts.set(name, script);
    }
    return script;
  }

  function openSubscriber(): Redis {
    const connection = openConnection(url, log, 'subscriptions');
    connection.on('message', (channel, payload) => {
      for (const listener of listeners.get(channel) ?? []) listener.onMessage(payload);
    });
    let pinging: NodeJS.Timeout | undefined;
    connection.on('close', () => {
      clearInterval(pinging);
      subscribed = false;
    });
    connection.on('ready', () => {
      clearInterval(pinging);
      // The silence that follows a ping into nowhere ends the connection (`silentSocketMs`).
      pinging = setInterval(() => void connection.ping().catch(() => {}), subscriberPingEveryMs);
      const channels = [...listeners.keys()];
      if (channels.length === 0) return;
      connection.subscribe(...channels).then(
        () => {
          subscribed = true;
          tellGap();
        },
        (error: unknown) => subscribeAnew(connection, error),
      );
    });
    return connection;
  }

  /** A subscription that failed on a connection which stands would be missing for ever: the next connection has them all. */
  function subscribeAnew(connection: Redis, error: unknown): void {
    log.warn({ error }, 'subscribing failed; connecting anew');
    connection.disconnect(true);
  }

  /** Who hears of a gap reads again: so it is told when both connections stand, whichever came back last. */
  function tellGap(): void {
    if (!subscribed || commands.status !== 'ready') return;
    for (const set of [...listeners.values()]) for (const listener of [...set]) listener.onGap();
  }
  commands.on('ready', tellGap);

  return {
    async run(name, keys, args) {
      const script = scriptOf(name);
      await whenReady();
      try {
        return await commands.evalsha(script.sha, keys.length, ...keys, ...args);
      } catch (error) {
        // The server has never seen the script, or forgot it at a restart.
        if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
        return await commands.eval(script.text, keys.length, ...keys, ...args);
      }
    },
    async hashValues(key) {
      await whenReady();
      return await commands.hvals(key);
    },
    async streamTail(key, count) {
      await whenReady();
      const entries = await commands.xrevrange(key, '+', '-', 'COUNT', count);
      return entries.map(([id, fields]) => ({ id, fields }));
    },
    async streamAfter(key, id, count) {
      await whenReady();
      const entries = await commands.xrange(key, `(${id}`, '+', 'COUNT', count);
      return entries.map(([entryId, fields]) => ({ id: entryId, fields }));
    },
    async runId() {
      await whenReady();
      const info = await commands.info('server');
      const match = /^run_id:(\w+)/m.exec(info);
      if (!match?.[1])
        throw new Error('Redis did not tell its run_id (INFO server): is the command disabled by an ACL?');
      return match[1];
    },
    async subscribe(channel, onMessage, onGap) {
      subscriber ??= openSubscriber();
      const connection = subscriber;
      const listener = { onMessage, onGap };
      const set = listeners.get(channel) ?? new Set();
      listeners.set(channel, set);
      set.add(listener);
      // While the connection is down, its next `ready` subscribes to every channel that is listened to.
      if (set.size === 1 && connection.status === 'ready') {
        await connection.subscribe(channel).then(
          () => {
            subscribed = true;
          },
          (error: unknown) => subscribeAnew(connection, error),
        );
      }
      return async () => {
        set.delete(listener);
        if (set.size > 0 || listeners.get(channel) !== set) return;
        listeners.delete(channel);
        if (connection.status === 'ready') await connection.unsubscribe(channel);
      };
    },
    async close() {
      listeners.clear();
      commands.disconnect();
      subscriber?.disconnect();
    },
  };
}

function openConnection(url: string, log: Logger, purpose: string): Redis {
  const connection = new Redis(url, {
    connectTimeout: connectTimeoutMs,
    commandTimeout: commandTimeoutMs,
    socketTimeout: silentSocketMs,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    enableAutoPipelining: true,
    autoResubscribe: false,
    autoResendUnfulfilledCommands: false,
    retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 6), reconnectMaxMs),
  });
  let down = false;
  connection.on('error', (error: Error) => {
    if (!down) log.warn({ purpose, reason: error.message }, 'Redis does not answer; trying again');
    down = true;
  });
  connection.on('ready', () => {
    if (down) log.info({ purpose }, 'Redis answers again');
    down = false;
  });
  return connection;
}

/**
 * Waits while the connection is being made: the first commands of a process may come before it stands. Later ones fail at
 * once when it is down. All who wait share one pair of listeners.
 */
function readiness(connection: Redis): () => Promise<void> {
  let waiting: Promise<void> | null = null;
  return async () => {
    if (connection.status !== 'connecting' && connection.status !== 'connect' && connection.status !== 'wait') return;
    waiting ??= new Promise((resolve) => {
      const settle = (): void => {
        connection.off('ready', settle);
        connection.off('close', settle);
        waiting = null;
        resolve();
      };
      connection.once('ready', settle);
      connection.once('close', settle);
    });
    await waiting;
  };
}
