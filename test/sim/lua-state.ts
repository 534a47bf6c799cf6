import {
  after,
  argumentCount,
  checkLayout,
  eachPair,
  firstArgument,
  itemOf,
  lastOf,
  module,
  numberAt,
  pushed,
  textSpan,
  topOf,
  type,
  typeAt,
  word,
  writeAt,
  writeNumberAt,
} from './lua-memory.ts';
import { luaConstructor } from './lua-constructor.ts';
import { LuaError } from './lua-error.ts';
import { depthMost, jsonAt } from './lua-json.ts';

/** What a Redis command answers, as Lua and as a client see it. An `Ok` is a status reply. */
export type Reply = string | number | null | readonly Reply[] | { readonly ok: string };

const registry = -10_000;
const globals = -10_002;
/** A name or a value is short; what is longer than this is read and written by the engine's own code. */
const shortText = 24;
const firstScratchBytes = 65_536;
/** So many strings are known on both sides at most. */
const pinsMost = 1_000;

/**
 * A Lua 5.1 as Redis has it, and the way over its border: values go as few times and with as few copies as can be, because
 * a seed crosses it a hundred thousand times.
 *
 * INVARIANTS
 * - A string that went in is pinned: a table in the registry holds it, so its address stays its own, and means this text to
 *   us, until all are let go at once. That happens only between two runs.
 * - Between the making of a table and its filling nothing is allocated: the collector never sees a half-filled one.
 */
export class LuaState {
  private readonly state = module._luaL_newstate();
  private scratch = module._malloc(firstScratchBytes);
  private scratchBytes = firstScratchBytes;
  private heap = Buffer.from(module.HEAPU8.buffer);
  private readonly pins: number;
  private readonly addresses = new Map<string, number>();
  private readonly texts = new Map<number, string>();
  private readonly textOf = (address: number): string => this.text(address);
  /** of the items of the list that is being pushed */
  private readonly addressesOf: number[] = [];

  constructor() {
    module._luaL_openlibs(this.state);
    checkLayout(this.state);
    module._lua_createtable(this.state, pinsMost, 0);
    this.pins = module._luaL_ref(this.state, registry);
  }

  /** Compiles once; the returned number runs it. Lines are counted as in the file. */
  compile(name: string, text: string): number {
    if (!this.load(name, text)) throw new Error(this.textAt(lastOf(this.state)));
    return module._luaL_ref(this.state, registry);
  }

  /** Runs what was compiled; what it throws has its message. */
  run(compiled: number): Reply {
    const { state } = this;
    module._lua_rawgeti(state, registry, compiled);
    const failed = module._lua_pcall(state, 0, 1, 0) !== 0;
    const result = failed ? null : this.replyAt(lastOf(state));
    const message = failed ? this.messageAt(lastOf(state)) : '';
    module._lua_settop(state, 0);
    if (this.addresses.size >= pinsMost) this.letGo();
    if (failed) throw new LuaError(message);
    return result;
  }

  /** A library of functions; each gets its arguments from this state and leaves one result on it, or throws a `LuaError`. */
  library(name: string, functions: Readonly<Record<string, () => void>>, raises: 'table' | 'string'): void {
    const { state } = this;
    module._lua_createtable(state, 0, 4);
    for (const [field, run] of Object.entries(functions)) {
      this.push(field);
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
    const { state } = this;
    const words: string[] = [];
    const end = topOf(state);
    for (let at = firstArgument(state); at < end; at = after(at)) {
      const given = typeAt(at);
      if (given === type.number) words.push(String(numberAt(at)));
      else if (given === type.string) words.push(this.text(word(at)));
      else throw new LuaError('ERR Lua redis lib command arguments must be strings or integers');
    }
    return words;
  }

  /** The first argument of the function that was called. */
  word(): string {
    const at = firstArgument(this.state);
    if (argumentCount(this.state) === 0 || typeAt(at) !== type.string) throw new LuaError('bad argument #1');
    return this.text(word(at));
  }

  /** A missing value is `false` to Lua, a status a table. */
  push(reply: Reply): void {
    const { state } = this;
    if (reply === null) writeAt(pushed(state), type.boolean, 0);
    else if (typeof reply === 'number') writeNumberAt(pushed(state), reply);
    else if (typeof reply === 'string') {
      const address = this.pinned(reply);
      writeAt(pushed(state), type.string, address);
    } else if ('ok' in reply) {
      module._lua_createtable(state, 0, 1);
      this.push('ok');
      this.push(reply.ok);
      module._lua_rawset(state, -3);
    } else this.pushList(reply);
  }

  /** As cjson has it: null is a value of its own. Tables are made as a constructor makes them, in size and order. */
  pushJson(value: unknown, depth = 0): void {
    const { state } = this;
    if (depth > depthMost) throw new LuaError(`Found too many nested data structures (${depth})`);
    if (typeof value === 'string' || typeof value === 'number') this.push(value);
    else if (typeof value === 'boolean') module._lua_pushboolean(state, value ? 1 : 0);
    else if (typeof value !== 'object' || value === null) module._lua_pushlightuserdata(state, 0);
    else if (Array.isArray(value)) {
      module._lua_checkstack(state, 8);
      module._lua_createtable(state, value.length, 0);
      for (let index = 0; index < value.length; index += 1) {
        this.pushJson(value[index], depth + 1);
        module._lua_rawseti(state, -2, index + 1);
      }
    } else {
      const entries = Object.entries(value);
      module._lua_checkstack(state, 8);
      module._lua_createtable(state, 0, entries.length);
      for (const [key, item] of entries) {
        this.push(key);
        this.pushJson(item, depth + 1);
        module._lua_rawset(state, -3);
      }
    }
  }

  /** Pushes a function that makes this JSON value anew at every call, with cjson's null as its argument; or nil. */
  pushMaker(value: unknown): void {
    const source = luaConstructor(value);
    if (source === null || !this.load('json', `local null = ...; return ${source}`)) module._lua_pushnil(this.state);
  }

  /** The first argument of the function that was called, as cjson writes it: an empty table is an object, a number has 14 digits. */
  json(): string {
    return jsonAt(firstArgument(this.state), this.textOf);
  }

  /** What a script returns becomes a reply: an array ends at its first nil, a number loses its fraction, true is 1. */
  private replyAt(at: number): Reply {
    switch (typeAt(at)) {
      case type.string:
        return this.text(word(at));
      case type.number:
        return Math.trunc(numberAt(at));
      case type.boolean:
        return word(at) === 1 ? 1 : null;
      case type.table: {
        const items: Reply[] = [];
        for (let index = 1; ; index += 1) {
          const item = itemOf(word(at), index) || this.strayItem(word(at), index);
          if (item === 0 || typeAt(item) === type.nil) return items;
          items.push(this.replyAt(item));
        }
      }
      default:
        return null;
    }
  }

  /** An item that lies among the named ones; 0 = there is none. */
  private strayItem(table: number, wanted: number): number {
    let found = 0;
    eachPair(table, (key, at) => {
      if (key !== 0 && typeAt(key) === type.number && numberAt(key) === wanted) found = at;
    });
    return found;
  }

  /** Of an error that reached the top: a string, or a table with one in `err`. */
  private messageAt(at: number): string {
    if (typeAt(at) === type.string) return this.text(word(at));
    let message = '';
    if (typeAt(at) === type.table) {
      eachPair(word(at), (key, item) => {
        if (key !== 0 && typeAt(key) === type.string && this.text(word(key)) === 'err') message = this.textAt(item);
      });
    }
    return message === '' ? 'the script threw what is no message' : message;
  }

  private textAt(at: number): string {
    return typeAt(at) === type.string ? this.text(word(at)) : jsonAt(at, this.textOf);
  }

  private text(address: number): string {
    const known = this.texts.get(address);
    if (known !== undefined) return known;
    const { at, bytes } = textSpan(address);
    const heap = this.heapNow();
    if (bytes > shortText) return heap.toString('utf8', at, at + bytes);
    let text = '';
    for (let byte = at; byte < at + bytes; byte += 1) {
      const code = heap[byte] ?? 0;
      if (code > 127) return heap.toString('utf8', at, at + bytes);
      text += String.fromCharCode(code);
    }
    return text;
  }

  /** The address of a string, which is made and pinned where it is not known yet. */
  private pinned(text: string): number {
    const known = this.addresses.get(text);
    if (known !== undefined) return known;
    const { state } = this;
    module._lua_rawgeti(state, registry, this.pins);
    const bytes = this.write(text);
    module._lua_pushlstring(state, this.scratch, bytes);
    const address = word(lastOf(state));
    module._lua_rawseti(state, -2, this.addresses.size + 1);
    module._lua_settop(state, -2);
    this.addresses.set(text, address);
    this.texts.set(address, text);
    return address;
  }

  private letGo(): void {
    const { state } = this;
    this.addresses.clear();
    this.texts.clear();
    module._lua_createtable(state, pinsMost, 0);
    module._lua_rawseti(state, registry, this.pins);
  }

  private pushList(items: readonly Reply[]): void {
    const { state } = this;
    const { addressesOf } = this;
    // Before the table is made, so that nothing is allocated while it is filled.
    for (let index = 0; index < items.length; index += 1) {
      const item = items[index];
      addressesOf[index] = typeof item === 'string' ? this.pinned(item) : 0;
    }
    module._lua_checkstack(state, 8);
    module._lua_createtable(state, items.length, 0);
    let at = itemOf(word(lastOf(state)), 1);
    for (let index = 0; index < items.length; index += 1, at = after(at)) {
      const address = addressesOf[index] ?? 0;
      const item = items[index] ?? null;
      if (address !== 0) writeAt(at, type.string, address);
      else if (typeof item === 'number') writeNumberAt(at, item);
      else writeAt(at, type.boolean, 0);
    }
    for (let index = 1; index <= items.length; index += 1) {
      const item = items[index - 1] ?? null;
      if (typeof item !== 'object' || item === null) continue;
      this.push(item);
      module._lua_rawseti(state, -2, index);
    }
  }

  /** Leaves the compiled function on the stack, or what is wrong with it. */
  private load(name: string, text: string): boolean {
    const label = module._malloc(name.length + 2);
    this.heapNow().write(`=${name}\0`, label, 'latin1');
    const bytes = this.write(text);
    const failed = module._luaL_loadbuffer(this.state, this.scratch, bytes, label) !== 0;
    module._free(label);
    return !failed;
  }

  /** Writes into the scratch memory; returns the length in bytes. */
  private write(text: string): number {
    if (text.length * 3 > this.scratchBytes) {
      module._free(this.scratch);
      this.scratchBytes = text.length * 6;
      this.scratch = module._malloc(this.scratchBytes);
    }
    const heap = this.heapNow();
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
    return heap.write(text, scratch, this.scratchBytes, 'utf8');
  }

  /** The memory is another one after it has grown. */
  private heapNow(): Buffer<ArrayBuffer> {
    if (this.heap.buffer !== module.HEAPU8.buffer) this.heap = Buffer.from(module.HEAPU8.buffer);
    return this.heap;
  }

  private setGlobal(name: string): void {
    const { state } = this;
    this.push(name);
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
      if (raises === 'table') {
        module._lua_createtable(state, 0, 1);
        this.push('err');
        this.push(problem);
        module._lua_rawset(state, -3);
      } else this.push(problem);
      return module._lua_error(state);
    }, 'ii');
  }
}
