import { Redis } from 'ioredis';
import { scriptText } from '#shared/scripts.ts';
import { keysOf, type InstallationId } from '#shared/identity.ts';

/** What a Redis server says of its own work, at one moment. Asking is not counted. */
export interface RedisCounters {
  /** scripts that were run, without the leader's heartbeats */
  readonly scripts: number;
  /** the leader's renewals */
  readonly heartbeats: number;
  /** commands from clients and from scripts, without INFO and without this question */
  readonly commands: number;
  readonly cpuMs: number;
}

export interface RedisMeter {
  readonly client: Redis;
  read(): Promise<RedisCounters>;
  close(): void;
}

export function createRedisMeter(url: string, installation: InstallationId): RedisMeter {
  const client = new Redis(url);
  const { heartbeat } = keysOf(installation);
  return {
    client,
    async read() {
      // As one transaction, so that no heartbeat comes between the two counts.
      const answers = await client.multi().info('commandstats').hget(heartbeat, 'counter').info('cpu').exec();
      const [stats, counter, cpu] = (answers ?? []).map(([error, value]) => {
        if (error) throw error;
        return value;
      });
      const calls = callsOf(String(stats));
      const heartbeats = Number(counter ?? 0);
      const asked = ['info', 'multi', 'exec'];
      return {
        scripts: (calls.get('evalsha') ?? 0) + (calls.get('eval') ?? 0) - heartbeats,
        heartbeats,
        commands: [...calls].filter(([name]) => !asked.includes(name)).reduce((sum, [, count]) => sum + count, 0),
        cpuMs: 1_000 * (secondsOf(String(cpu), 'used_cpu_user') + secondsOf(String(cpu), 'used_cpu_sys')),
      };
    },
    close: () => client.disconnect(),
  };
}

function callsOf(info: string): Map<string, number> {
  const found = info.matchAll(/^cmdstat_(\S+?):calls=(\d+)/gm);
  return new Map([...found].map(([, name = '', calls]) => [name, Number(calls)]));
}

function secondsOf(info: string, field: string): number {
  const match = new RegExp(`^${field}:([\\d.]+)`, 'm').exec(info);
  if (match?.[1] === undefined) throw new Error(`Redis does not tell ${field} (INFO cpu)`);
  return Number(match[1]);
}

/** The sha of the script by which a box is read, loaded. */
export async function loadReadScript(client: Redis): Promise<string> {
  return String(await client.script('LOAD', scriptText('read-box')));
}
