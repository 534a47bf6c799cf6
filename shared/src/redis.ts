import { createHash } from 'node:crypto';
import { Redis } from 'ioredis';
import type { Logger } from './log.ts';
import type { RedisPort, ScriptName } from './redis-port.ts';
import { scriptText } from './scripts.ts';

const connectTimeoutMs = 5_000;
/** A command that Redis has not answered by then is given up; its effect is unknown. */
const commandTimeoutMs = 5_000;
const reconnectMaxMs = 2_000;

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
  let subscriber: Redis | null = null;
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
    connection.on('ready', () => {
      const channels = [...listeners.keys()];
      if (channels.length === 0) return;
      connection.subscribe(...channels).then(
        () => {
          for (const set of listeners.values()) for (const listener of set) listener.onGap();
        },
        (error: unknown) => log.warn({ error }, 'subscribing again failed; the next reconnect tries again'),
      );
    });
    return connection;
  }

  return {
    async run(name, keys, args) {
      const script = scriptOf(name);
      await whenReady(commands);
      try {
        return await commands.evalsha(script.sha, keys.length, ...keys, ...args);
      } catch (error) {
        // The server has never seen the script, or forgot it at a restart.
        if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
        return await commands.eval(script.text, keys.length, ...keys, ...args);
      }
    },
    async hashValues(key) {
      await whenReady(commands);
      return await commands.hvals(key);
    },
    async streamTail(key, count) {
      await whenReady(commands);
      const entries = await commands.xrevrange(key, '+', '-', 'COUNT', count);
      return entries.map(([id, fields]) => ({ id, fields }));
    },
    async runId() {
      await whenReady(commands);
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
      if (set.size === 1 && connection.status === 'ready') await connection.subscribe(channel);
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

/** The first commands of a process may come before the connection stands; later ones fail at once when it is down. */
function whenReady(connection: Redis): Promise<void> {
  if (connection.status !== 'connecting' && connection.status !== 'connect' && connection.status !== 'wait') {
    return Promise.resolve();
  }
  return new Promise((resolve) => {
    const settle = (): void => {
      connection.off('ready', settle);
      connection.off('close', settle);
      resolve();
    };
    connection.once('ready', settle);
    connection.once('close', settle);
  });
}
