import { LuaApi } from 'wasmoon-lua5.1';

/** What a Redis command answers, as Lua and as a client see it. An `Ok` is a status reply. */
export type Reply = string | number | null | readonly Reply[] | { readonly ok: string };

const type = { nil: 0, boolean: 1, number: 3, string: 4, table: 5 } as const;
const registry = -10_000;
const globals = -10_002;
/** A name or a value is short; what is longer than this is read and written by the engine's own code. */
const shortText = 48;
const firstScratchBytes = 65_536;

const { module } = await LuaApi.initialize();

/** An error that Lua code can catch: `redis.call` raises a table, the libraries a string. */
export class LuaError extends Error {}

/**
 * A Lua 5.1 as Redis has it, and the way over its border: values go as few times and with as few copies as can be, because
 * a seed crosses it a million times.
 */
export class LuaState {
  private readonly state = module._luaL_newstate();
  private scratch = module._malloc(firstScratchBytes);
  private scratchBytes = firstScratchBytes;
  private readonly length = module._malloc(4);

  constructor() {
    module._luaL_openlibs(this.state);
  }

  /** Compiles once; the returned number runs it. Lines are counted as in the file. */
  compile(name: string, text: string): number {
    const bytes = this.write(text);
    const label = module._malloc(name.length + 2);
    module.HEAPU8.set(new TextEncoder().encode(`=${name}`), label);
    module.HEAPU8[label + name.length + 1] = 0;
    const failed = module._luaL_loadbuffer(this.state, this.scratch, bytes, label) !== 0;
    module._free(label);
    if (failed) throw new Error(this.text(-1));
    return module._luaL_ref(this.state, registry);
  }

  /** Runs what was compiled; what it throws has its message. */
  run(compiled: number): Reply {
    const { state } = this;
    module._lua_rawgeti(state, registry, compiled);
    const failed = module._lua_pcall(state, 0, 1, 0) !== 0;
    const result = failed ? null : this.reply();
    const message = failed ? this.message() : '';
    module._lua_settop(state, 0);
    if (failed) throw new LuaError(message);
    return result;
  }

  /** A library of functions; each gets its arguments from this state and leaves one result on it, or throws a `LuaError`. */
  library(name: string, functions: Readonly<Record<string, () => void>>, raises: 'table' | 'string'): void {
    const { state } = this;
    module._lua_createtable(state, 0, 4);
    for (const [field, run] of Object.entries(functions)) {
      this.pushText(field);
      module._lua_pushcclosure(state, this.native(run, raises), 0);
      module._lua_rawset(state, -3);
    }
    this.setGlobal(name);
  }

  setGlobalList(name: string, values: readonly string[]): void {
    this.push(values);
    this.setGlobal(name);
  }

  /** The arguments of the function that was called, as Redis writes them. */
  words(): string[] {
    const count = module._lua_gettop(this.state);
    const words: string[] = [];
    for (let index = 1; index <= count; index += 1) {
      const given = module._lua_type(this.state, index);
      if (given === type.number) words.push(String(module._lua_tonumber(this.state, index)));
      else if (given === type.string) words.push(this.text(index));
      else throw new LuaError('ERR Lua redis lib command arguments must be strings or integers');
    }
    return words;
  }

  /** A missing value is `false` to Lua, a status a table. */
  push(reply: Reply): void {
    const { state } = this;
    if (reply === null) module._lua_pushboolean(state, 0);
    else if (typeof reply === 'number') module._lua_pushnumber(state, reply);
    else if (typeof reply === 'string') this.pushText(reply);
    else if ('ok' in reply) this.pushField('ok', reply.ok);
    else {
      module._lua_createtable(state, reply.length, 0);
      module._lua_checkstack(state, 4);
      for (let index = 0; index < reply.length; index += 1) {
        this.push(reply[index] ?? null);
        module._lua_rawseti(state, -2, index + 1);
      }
    }
  }

  /** As cjson has it: null is a value of its own. */
  pushJson(value: unknown, depth = 0): void {
    const { state } = this;
    if (depth > 1_000) throw new LuaError('Found too many nested data structures (1001)');
    if (typeof value === 'string') this.pushText(value);
    else if (typeof value === 'number') module._lua_pushnumber(state, value);
    else if (typeof value === 'boolean') module._lua_pushboolean(state, value ? 1 : 0);
    else if (typeof value !== 'object' || value === null) module._lua_pushlightuserdata(state, 0);
    else {
      module._lua_checkstack(state, 4);
      module._lua_createtable(state, 0, 8);
      if (Array.isArray(value)) {
        for (let index = 0; index < value.length; index += 1) {
          this.pushJson(value[index], depth + 1);
          module._lua_rawseti(state, -2, index + 1);
        }
      } else {
        for (const [key, item] of Object.entries(value)) {
          this.pushText(key);
          this.pushJson(item, depth + 1);
          module._lua_rawset(state, -3);
        }
      }
    }
  }

  /** The value at an index, as cjson writes it: an empty table is an object, a number has 14 digits. */
  json(at: number): unknown {
    const { state } = this;
    const index = at < 0 ? module._lua_gettop(state) + 1 + at : at;
    switch (module._lua_type(state, index)) {
      case type.string:
        return this.text(index);
      case type.number:
        return Number(module._lua_tonumber(state, index).toPrecision(14));
      case type.boolean:
        return module._lua_toboolean(state, index) === 1;
      case type.table: {
        const entries: [unknown, unknown][] = [];
        let isArray = true;
        module._lua_checkstack(state, 4);
        module._lua_pushnil(state);
        while (module._lua_next(state, index) !== 0) {
          const key = this.json(-2);
          isArray = isArray && typeof key === 'number';
          entries.push([key, this.json(-1)]);
          module._lua_settop(state, -2);
        }
        return isArray && entries.length > 0 ? entries.map(([, item]) => item) : Object.fromEntries(entries);
      }
      default:
        return null;
    }
  }

  text(index: number): string {
    const at = module._lua_tolstring(this.state, index, this.length);
    const bytes = module.HEAPU32[this.length >> 2] ?? 0;
    const heap = module.HEAPU8;
    if (bytes > shortText) return Buffer.from(heap.buffer, at, bytes).toString('utf8');
    let text = '';
    for (let byte = at; byte < at + bytes; byte += 1) {
      const code = heap[byte] ?? 0;
      if (code > 127) return Buffer.from(heap.buffer, at, bytes).toString('utf8');
      text += String.fromCharCode(code);
    }
    return text;
  }

  private pushText(text: string): void {
    const bytes = this.write(text);
    module._lua_pushlstring(this.state, this.scratch, bytes);
  }

  /** Writes into the scratch memory; returns the length in bytes. */
  private write(text: string): number {
    if (text.length * 3 > this.scratchBytes) {
      module._free(this.scratch);
      this.scratchBytes = text.length * 6;
      this.scratch = module._malloc(this.scratchBytes);
    }
    const heap = module.HEAPU8;
    const { scratch } = this;
    if (text.length <= shortText) {
      let index = 0;
      for (; index < text.length; index += 1) {
        const code = text.charCodeAt(index);
        if (code > 127) break;
        heap[scratch + index] = code;
      }
      if (index === text.length) return index;
    }
    return Buffer.from(heap.buffer, scratch, this.scratchBytes).write(text, 'utf8');
  }

  private pushField(field: string, value: string): void {
    module._lua_createtable(this.state, 0, 1);
    this.pushText(field);
    this.pushText(value);
    module._lua_rawset(this.state, -3);
  }

  private setGlobal(name: string): void {
    const { state } = this;
    this.pushText(name);
    module._lua_insert(state, -2);
    module._lua_rawset(state, globals);
  }

  private native(run: () => void, raises: 'table' | 'string'): number {
    return module.addFunction((state) => {
      let problem: string | null = null;
      try {
        run();
      } catch (error) {
        if (!(error instanceof LuaError)) throw error;
        problem = error.message;
      }
      if (problem === null) return 1;
      // Leaves this frame as C's longjmp does, so it must not stand inside the `try`.
      if (raises === 'table') this.pushField('err', problem);
      else this.pushText(problem);
      return module._lua_error(state);
    }, 'ii');
  }

  /** What a script returns becomes a reply: an array ends at its first nil, a number loses its fraction, true is 1. */
  private reply(): Reply {
    const { state } = this;
    switch (module._lua_type(state, -1)) {
      case type.string:
        return this.text(-1);
      case type.number:
        return Math.trunc(module._lua_tonumber(state, -1));
      case type.boolean:
        return module._lua_toboolean(state, -1) === 1 ? 1 : null;
      case type.table: {
        const items: Reply[] = [];
        module._lua_checkstack(state, 4);
        for (let index = 1; ; index += 1) {
          module._lua_rawgeti(state, -1, index);
          const isEnd = module._lua_type(state, -1) === type.nil;
          if (!isEnd) items.push(this.reply());
          module._lua_settop(state, -2);
          if (isEnd) return items;
        }
      }
      default:
        return null;
    }
  }

  /** Of an error that reached the top: a string, or a table with one in `err`. */
  private message(): string {
    const error = this.json(-1);
    if (typeof error === 'string') return error;
    if (typeof error === 'object' && error !== null && 'err' in error) return String(error.err);
    return JSON.stringify(error);
  }
}
