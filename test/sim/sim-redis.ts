import type { ScriptName } from '#shared/redis-port.ts';
import { LuaScripts, type Reply } from './lua-scripts.ts';

interface Entry {
  /** a string, a hash, or a stream's entries as JSON lines */
  readonly value: string | Map<string, string> | { id: string; fields: string[] }[];
  /** by Redis' clock, ms; null = stays */
  expiresAt: number | null;
}

/** One interpreter serves every simulated Redis: scripts keep nothing between two runs. */
const scripts = new LuaScripts();

/**
 * A Redis in memory that runs the project's scripts: the commands that they use, its own clock, expiry, channels, and what
 * a restart may lose. Knows nothing of connections: those are in `redis-link.ts`.
 */
export class SimRedis {
  private data = new Map<string, Entry>();
  private runs = 1;
  private streamIds = 0;
  /** added to virtual time to give TIME; moved by clock jumps */
  private readonly clock: () => number;
  private readonly publish: (channel: string, payload: string) => void;
  /** told of every script just before it runs, with a view of the data as it is then */
  onScript: (name: ScriptName, keys: readonly string[], args: readonly string[]) => void = () => {};
  afterScript: (name: ScriptName, keys: readonly string[], args: readonly string[], reply: Reply) => void = () => {};

  constructor(options: { clock: () => number; publish: (channel: string, payload: string) => void }) {
    this.clock = options.clock;
    this.publish = options.publish;
  }

  now(): number {
    return this.clock();
  }

  runId(): string {
    return `run${this.runs.toString(16).padStart(37, '0')}`;
  }

  run(name: ScriptName, keys: readonly string[], args: readonly string[]): Reply {
    this.onScript(name, keys, args);
    const reply = scripts.run(name, keys, args, (command) => this.command(command));
    this.afterScript(name, keys, args, reply);
    return reply;
  }

  /** A copy of everything, as an append-only file or a backup would hold it. */
  copy(): Map<string, Entry> {
    const copy = new Map<string, Entry>();
    for (const [key, { value, expiresAt }] of this.data) {
      const copied = typeof value === 'string' ? value : value instanceof Map ? new Map(value) : [...value];
      copy.set(key, { value: copied, expiresAt });
    }
    return copy;
  }

  /** A new process on these data: what was acknowledged after the copy is lost. */
  restart(data: Map<string, Entry>): void {
    this.data = data;
    this.data = this.copy();
    this.runs += 1;
  }

  flush(): void {
    this.data.clear();
  }

  hash(key: string): Map<string, string> {
    const entry = this.live(key);
    if (entry === null) return new Map();
    if (!(entry.value instanceof Map)) throw new Error(`WRONGTYPE ${key} is no hash`);
    return entry.value;
  }

  string(key: string): string | null {
    const entry = this.live(key);
    if (entry === null) return null;
    if (typeof entry.value !== 'string') throw new Error(`WRONGTYPE ${key} is no string`);
    return entry.value;
  }

  stream(key: string): { id: string; fields: string[] }[] {
    const entry = this.live(key);
    if (entry === null) return [];
    if (typeof entry.value === 'string' || entry.value instanceof Map) throw new Error(`WRONGTYPE ${key} is no stream`);
    return entry.value;
  }

  keys(): string[] {
    return [...this.data.keys()].filter((key) => this.live(key) !== null);
  }

  private command([name = '', key = '', ...rest]: readonly string[]): Reply {
    switch (name) {
      case 'TIME': {
        const now = this.clock();
        return [String(Math.floor(now / 1_000)), String(Math.floor((now % 1_000) * 1_000))];
      }
      case 'INFO':
        return `# Server\r\nredis_version:7.0.15\r\nrun_id:${this.runId()}\r\n`;
      case 'GET':
        return this.string(key);
      case 'SET':
        return this.set(key, rest);
      case 'DEL':
        return [key, ...rest].filter((each) => this.data.delete(each)).length;
      case 'EXISTS':
        return this.live(key) === null ? 0 : 1;
      case 'EXPIRE':
        return this.expire(key, this.clock() + Number(rest[0]) * 1_000);
      case 'PERSIST':
        return this.expire(key, null);
      case 'PUBLISH':
        this.publish(key, rest[0] ?? '');
        return 1;
      case 'XADD':
        return this.append(key, rest);
      default:
        return this.hashCommand(name, key, rest);
    }
  }

  private hashCommand(name: string, key: string, rest: readonly string[]): Reply {
    const hash = this.hash(key);
    switch (name) {
      case 'HGETALL':
        return [...hash].flat();
      case 'HVALS':
        return [...hash.values()];
      case 'HGET':
        return hash.get(rest[0] ?? '') ?? null;
      case 'HMGET':
        return rest.map((field) => hash.get(field) ?? null);
      case 'HSET':
        for (let index = 0; index < rest.length; index += 2) hash.set(rest[index] ?? '', rest[index + 1] ?? '');
        return this.keep(key, hash);
      case 'HSETNX':
        if (hash.has(rest[0] ?? '')) return 0;
        hash.set(rest[0] ?? '', rest[1] ?? '');
        return this.keep(key, hash);
      case 'HDEL': {
        const removed = rest.filter((field) => hash.delete(field)).length;
        if (hash.size === 0) this.data.delete(key);
        return removed;
      }
      default:
        throw new Error(`the simulated Redis does not know the command ${name}`);
    }
  }

  private keep(key: string, hash: Map<string, string>): number {
    if (this.live(key) === null) this.data.set(key, { value: hash, expiresAt: null });
    return 1;
  }

  private set(key: string, [value = '', ...options]: readonly string[]): Reply {
    if (options.includes('NX') && this.live(key) !== null) return null;
    const at = options.indexOf('PX');
    this.data.set(key, { value, expiresAt: at < 0 ? null : this.clock() + Number(options[at + 1]) });
    return 'OK';
  }

  private append(key: string, rest: readonly string[]): Reply {
    const star = rest.indexOf('*');
    const most = rest.indexOf('MAXLEN') >= 0 ? Number(rest[star - 1]) : Number.POSITIVE_INFINITY;
    const stream = this.stream(key);
    this.streamIds += 1;
    const id = `${this.clock()}-${this.streamIds}`;
    stream.push({ id, fields: rest.slice(star + 1) });
    while (stream.length > most) stream.shift();
    if (this.live(key) === null) this.data.set(key, { value: stream, expiresAt: null });
    return id;
  }

  private expire(key: string, at: number | null): number {
    const entry = this.live(key);
    if (entry === null) return 0;
    entry.expiresAt = at;
    return 1;
  }

  private live(key: string): Entry | null {
    const entry = this.data.get(key);
    if (entry === undefined) return null;
    if (entry.expiresAt === null || entry.expiresAt > this.clock()) return entry;
    this.data.delete(key);
    return null;
  }
}
