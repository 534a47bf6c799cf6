import type { ScriptName } from '#shared/redis-port.ts';
import { LuaScripts } from './lua-scripts.ts';
import { LuaError } from './lua-error.ts';
import type { Reply } from './lua-state.ts';
import { appended, type StreamEntry, type StreamValue } from './sim-stream.ts';

interface Entry {
  readonly value: string | Map<string, string> | StreamValue;
  /** by Redis' clock, ms; null = stays */
  expiresAt: number | null;
}

/** One interpreter serves every simulated Redis: scripts keep nothing between two runs. */
const scripts = new LuaScripts();
const wrongType = 'WRONGTYPE Operation against a key holding the wrong kind of value';

/**
 * A Redis in memory that runs the project's scripts: the commands that they use, answered as Redis 7 does, its own clock,
 * expiry, channels, and what a restart may lose. Knows nothing of connections: those are in `redis-link.ts`.
 */
export class SimRedis {
  private data = new Map<string, Entry>();
  private runs = 1;
  private readonly clock: () => number;
  private readonly publish: (channel: string, payload: string) => void;
  private readonly call = (words: readonly string[]): Reply => this.command(words);
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
    const reply = scripts.run(name, keys, args, this.call);
    this.afterScript(name, keys, args, reply);
    return reply;
  }

  /** A copy of everything, as an append-only file or a backup would hold it. */
  copy(): Map<string, Entry> {
    const copy = new Map<string, Entry>();
    for (const [key, { value, expiresAt }] of this.data) {
      const copied =
        typeof value === 'string'
          ? value
          : value instanceof Map
            ? new Map(value)
            : { ...value, entries: [...value.entries] };
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

  hash(key: string): ReadonlyMap<string, string> {
    return this.hashAt(key) ?? new Map();
  }

  stream(key: string): readonly StreamEntry[] {
    return this.streamAt(key)?.entries ?? [];
  }

  keys(): string[] {
    return [...this.data.keys()].filter((key) => this.live(key) !== null);
  }

  /** Any command that the scripts and the contract suites use. Throws a `LuaError` with Redis' own words. */
  command([name = '', key = '', ...rest]: readonly string[]): Reply {
    const [first = '', second = ''] = rest;
    switch (name) {
      case 'TIME': {
        const now = this.clock();
        return [String(Math.floor(now / 1_000)), String(Math.floor((now % 1_000) * 1_000))];
      }
      case 'INFO':
        return `# Server\r\nredis_version:7.0.15\r\nrun_id:${this.runId()}\r\n`;
      case 'GET':
        return this.stringAt(key);
      case 'SET':
        return this.set(key, rest);
      case 'DEL':
        return [key, ...rest].filter((each) => this.live(each) !== null && this.data.delete(each)).length;
      case 'EXISTS':
        return [key, ...rest].filter((each) => this.live(each) !== null).length;
      case 'TYPE': {
        const entry = this.live(key);
        return { ok: entry === null ? 'none' : typeOf(entry.value) };
      }
      case 'KEYS':
        // Only ever asked for a prefix.
        return this.keys().filter((each) => each.startsWith(key.slice(0, -1)));
      case 'EXPIRE':
        return this.expire(key, this.clock() + Number(first) * 1_000);
      case 'PERSIST':
        return this.live(key)?.expiresAt == null ? 0 : this.expire(key, null);
      case 'TTL':
        return Math.ceil(this.leftMs(key) / (this.leftMs(key) < 0 ? 1 : 1_000));
      case 'PTTL':
        return this.leftMs(key);
      case 'PUBLISH':
        this.publish(key, first);
        return 1;
      case 'XADD':
        return this.append(key, rest);
      case 'XLEN':
        return this.stream(key).length;
      case 'XRANGE':
        if (first !== '-' || second !== '+') throw new LuaError('the simulated Redis knows XRANGE of everything only');
        return this.stream(key).map(({ id, fields }) => [id, fields]);
      case 'HSET':
        return this.setFields(key, rest);
      case 'HDEL':
        return this.deleteFields(key, rest);
      default:
        return this.readHash(name, key, rest);
    }
  }

  private readHash(name: string, key: string, rest: readonly string[]): Reply {
    const hash = this.hash(key);
    switch (name) {
      case 'HGETALL': {
        const flat: string[] = [];
        for (const [field, value] of hash) flat.push(field, value);
        return flat;
      }
      case 'HVALS':
        return [...hash.values()];
      case 'HKEYS':
        return [...hash.keys()];
      case 'HLEN':
        return hash.size;
      case 'HGET':
        return hash.get(rest[0] ?? '') ?? null;
      case 'HMGET':
        return rest.map((field) => hash.get(field) ?? null);
      default:
        throw new LuaError(`ERR unknown command '${name}': the simulated Redis has to learn it`);
    }
  }

  private setFields(key: string, rest: readonly string[]): number {
    const hash = this.hashAt(key) ?? new Map<string, string>();
    const before = hash.size;
    for (let index = 0; index < rest.length; index += 2) hash.set(rest[index] ?? '', rest[index + 1] ?? '');
    if (before === 0) this.data.set(key, { value: hash, expiresAt: null });
    return hash.size - before;
  }

  private deleteFields(key: string, fields: readonly string[]): number {
    const hash = this.hashAt(key);
    if (hash === null) return 0;
    const removed = fields.filter((field) => hash.delete(field)).length;
    if (hash.size === 0) this.data.delete(key);
    return removed;
  }

  private set(key: string, [value = '', ...options]: readonly string[]): Reply {
    if (options.includes('NX') && this.live(key) !== null) return null;
    const at = options.indexOf('PX');
    this.data.set(key, { value, expiresAt: at < 0 ? null : this.clock() + Number(options[at + 1]) });
    return { ok: 'OK' };
  }

  private append(key: string, rest: readonly string[]): Reply {
    const known = this.streamAt(key);
    const { stream, id } = appended(known, rest, this.clock());
    if (known === null) this.data.set(key, { value: stream, expiresAt: null });
    return id;
  }

  private expire(key: string, at: number | null): number {
    const entry = this.live(key);
    if (entry === null) return 0;
    entry.expiresAt = at;
    return 1;
  }

  /** -2: no such key; -1: it stays. */
  private leftMs(key: string): number {
    const entry = this.live(key);
    if (entry === null) return -2;
    return entry.expiresAt === null ? -1 : entry.expiresAt - this.clock();
  }

  private stringAt(key: string): string | null {
    const value = this.live(key)?.value;
    if (value !== undefined && typeof value !== 'string') throw new LuaError(wrongType);
    return value ?? null;
  }

  private hashAt(key: string): Map<string, string> | null {
    const value = this.live(key)?.value;
    if (value !== undefined && !(value instanceof Map)) throw new LuaError(wrongType);
    return value ?? null;
  }

  private streamAt(key: string): StreamValue | null {
    const value = this.live(key)?.value;
    if (value === undefined) return null;
    if (typeof value === 'string' || value instanceof Map) throw new LuaError(wrongType);
    return value;
  }

  private live(key: string): Entry | null {
    const entry = this.data.get(key);
    if (entry === undefined) return null;
    if (entry.expiresAt === null || entry.expiresAt > this.clock()) return entry;
    this.data.delete(key);
    return null;
  }
}

function typeOf(value: Entry['value']): string {
  if (typeof value === 'string') return 'string';
  return value instanceof Map ? 'hash' : 'stream';
}
