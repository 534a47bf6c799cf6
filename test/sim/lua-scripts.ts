import { lauxlib, lua, lualib, to_jsstring, to_luastring } from 'fengari';
import type { ScriptName } from '#shared/redis-port.ts';
import { scriptText } from '#shared/scripts.ts';

/** What a Redis command answers, as Lua and as a client see it. */
export type Reply = string | number | null | readonly Reply[];

/**
 * The project's own `.lua` files in a Lua interpreter: no second implementation of any script.
 * Redis' Lua is 5.1, whose numbers are all doubles; the interpreter's is 5.3 with 32-bit integers, so `tonumber` is made to
 * answer floats here, and everything computed from them is a float too.
 */
export class LuaScripts {
  private readonly state = lauxlib.luaL_newstate();
  private readonly chunks = new Map<ScriptName, number>();
  private call: (command: readonly string[]) => Reply = () => null;

  constructor() {
    const { state } = this;
    lualib.luaL_openlibs(state);
    lauxlib.luaL_dostring(
      state,
      to_luastring('local parse = tonumber; tonumber = function(x) local n = parse(x); return n and n + 0.0 end'),
    );
    this.library('redis', { call: () => this.redisCall() });
    this.library('cjson', { encode: () => this.encode(), decode: () => this.decode() });
  }

  /** Runs a script to its end; throws what it throws. */
  run(
    name: ScriptName,
    keys: readonly string[],
    args: readonly string[],
    call: (command: readonly string[]) => Reply,
  ): Reply {
    const { state } = this;
    this.call = call;
    this.global('KEYS', keys);
    this.global('ARGV', args);
    lua.lua_rawgeti(state, lua.LUA_REGISTRYINDEX, this.chunk(name));
    const failed = lua.lua_pcall(state, 0, 1, 0) !== 0;
    const result = failed ? null : replyOf(state);
    const message = failed ? stringAt(state, -1) : '';
    lua.lua_settop(state, 0);
    if (failed) throw new Error(`${name}.lua: ${message}`);
    return result;
  }

  private chunk(name: ScriptName): number {
    const known = this.chunks.get(name);
    if (known !== undefined) return known;
    const { state } = this;
    if (lauxlib.luaL_loadstring(state, to_luastring(scriptText(name))) !== 0) {
      throw new Error(`${name}.lua: ${stringAt(state, -1)}`);
    }
    const reference = lauxlib.luaL_ref(state, lua.LUA_REGISTRYINDEX);
    this.chunks.set(name, reference);
    return reference;
  }

  private library(name: string, functions: Readonly<Record<string, () => number>>): void {
    const { state } = this;
    lua.lua_newtable(state);
    for (const [field, run] of Object.entries(functions)) {
      lua.lua_pushcfunction(state, run);
      lua.lua_setfield(state, -2, to_luastring(field));
    }
    lua.lua_setglobal(state, to_luastring(name));
  }

  private global(name: string, values: readonly string[]): void {
    push(this.state, values);
    lua.lua_setglobal(this.state, to_luastring(name));
  }

  private redisCall(): number {
    const { state } = this;
    const command: string[] = [];
    for (let index = 1; index <= lua.lua_gettop(state); index += 1) {
      command.push(argumentAt(state, index));
    }
    push(state, this.call(command));
    return 1;
  }

  private encode(): number {
    lua.lua_pushstring(this.state, to_luastring(JSON.stringify(jsonOf(this.state, 1))));
    return 1;
  }

  private decode(): number {
    const value: unknown = JSON.parse(stringAt(this.state, 1));
    pushJson(this.state, value);
    return 1;
  }
}

type State = ReturnType<typeof lauxlib.luaL_newstate>;

function stringAt(state: State, index: number): string {
  return to_jsstring(lua.lua_tostring(state, index));
}

/** A number given to a command is written as Redis writes it: whole ones without a point. */
function argumentAt(state: State, index: number): string {
  if (lua.lua_type(state, index) !== lua.LUA_TNUMBER) return stringAt(state, index);
  return String(lua.lua_tonumber(state, index));
}

/** A missing value is `false` to Lua. */
function push(state: State, reply: Reply): void {
  if (reply === null) lua.lua_pushboolean(state, 0);
  else if (typeof reply === 'number') lua.lua_pushnumber(state, reply);
  else if (typeof reply === 'string') lua.lua_pushstring(state, to_luastring(reply));
  else {
    lua.lua_createtable(state, reply.length, 0);
    reply.forEach((item, index) => {
      push(state, item);
      lua.lua_rawseti(state, -2, index + 1);
    });
  }
}

/** What a script returns becomes a reply: an array ends at its first nil, a number loses its fraction, true is 1. */
function replyOf(state: State): Reply {
  switch (lua.lua_type(state, -1)) {
    case lua.LUA_TSTRING:
      return stringAt(state, -1);
    case lua.LUA_TNUMBER:
      return Math.trunc(lua.lua_tonumber(state, -1));
    case lua.LUA_TBOOLEAN:
      return lua.lua_toboolean(state, -1) ? 1 : null;
    case lua.LUA_TTABLE: {
      const items: Reply[] = [];
      for (let index = 1; ; index += 1) {
        lua.lua_rawgeti(state, -1, index);
        const isEnd = lua.lua_type(state, -1) === lua.LUA_TNIL;
        if (!isEnd) items.push(replyOf(state));
        lua.lua_pop(state, 1);
        if (isEnd) return items;
      }
    }
    default:
      return null;
  }
}

function jsonOf(state: State, at: number): unknown {
  const index = lua.lua_absindex(state, at);
  switch (lua.lua_type(state, index)) {
    case lua.LUA_TSTRING:
      return stringAt(state, index);
    case lua.LUA_TNUMBER:
      return lua.lua_tonumber(state, index);
    case lua.LUA_TBOOLEAN:
      return Boolean(lua.lua_toboolean(state, index));
    case lua.LUA_TTABLE: {
      const entries: [unknown, unknown][] = [];
      lua.lua_pushnil(state);
      while (lua.lua_next(state, index) !== 0) {
        entries.push([jsonOf(state, -2), jsonOf(state, -1)]);
        lua.lua_pop(state, 1);
      }
      // As cjson has it: an empty table is an object.
      const isArray = entries.length > 0 && entries.every(([key]) => typeof key === 'number');
      return isArray ? entries.map(([, value]) => value) : Object.fromEntries(entries);
    }
    default:
      return null;
  }
}

function pushJson(state: State, value: unknown): void {
  if (value === null || value === undefined) lua.lua_pushlightuserdata(state, nullValue);
  else if (typeof value === 'string') lua.lua_pushstring(state, to_luastring(value));
  else if (typeof value === 'number') lua.lua_pushnumber(state, value);
  else if (typeof value === 'boolean') lua.lua_pushboolean(state, value ? 1 : 0);
  else if (typeof value === 'object') {
    lua.lua_newtable(state);
    const entries = Array.isArray(value) ? value.map((item, at) => [at + 1, item]) : Object.entries(value);
    for (const [key, item] of entries) {
      if (typeof key === 'number') lua.lua_pushnumber(state, key);
      else lua.lua_pushstring(state, to_luastring(String(key)));
      pushJson(state, item);
      lua.lua_settable(state, -3);
    }
  }
}

/** cjson's null is a value of its own, not nil. */
const nullValue = Object.freeze({});
