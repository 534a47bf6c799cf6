import type { ScriptName } from '#shared/redis-port.ts';
import { scriptText } from '#shared/scripts.ts';
import { LuaError, LuaState, type Reply } from './lua-state.ts';

/** The project's own `.lua` files in a Lua interpreter of the version that Redis has: no second implementation of any. */
export class LuaScripts {
  private readonly lua = new LuaState();
  private readonly compiled = new Map<ScriptName, number>();
  private call: (command: readonly string[]) => Reply = () => null;

  constructor() {
    const { lua } = this;
    lua.library('redis', { call: () => lua.push(this.call(lua.words())) }, 'table');
    lua.library(
      'cjson',
      { encode: () => lua.push(JSON.stringify(lua.json(1))), decode: () => this.decode() },
      'string',
    );
    lua.run(lua.compile('kept', keptDecode));
    lua.setGlobalList('KEYS', []);
    lua.setGlobalList('ARGV', []);
    // As Redis does: a script that reads or writes a global of its own is at fault.
    const fault = (what: string) => `error('Script attempted to ${what} global variable ' .. tostring(name), 2)`;
    lua.run(
      lua.compile(
        'guard',
        `setmetatable(_G, { __index = function(_, name) ${fault('access nonexistent')} end,
           __newindex = function(_, name) ${fault('create')} end })`,
      ),
    );
  }

  /** Runs a script to its end; throws what it throws. */
  run(
    name: ScriptName,
    keys: readonly string[],
    args: readonly string[],
    call: (command: readonly string[]) => Reply,
  ): Reply {
    this.call = call;
    this.lua.setGlobalList('KEYS', keys);
    this.lua.setGlobalList('ARGV', args);
    let compiled = this.compiled.get(name);
    if (compiled === undefined) {
      compiled = this.lua.compile(name, scriptText(name));
      this.compiled.set(name, compiled);
    }
    return this.lua.run(compiled);
  }

  private decode(): void {
    let value: unknown;
    try {
      value = JSON.parse(this.lua.text(1));
    } catch {
      throw new LuaError('Expected value but found invalid token');
    }
    this.lua.pushJson(value);
  }
}

/**
 * The same few texts are decoded again and again: what they mean is kept, and each caller gets a copy. The first one too, so
 * that the order of fields never depends on what was decoded before.
 */
const keptDecode = `
collectgarbage('setpause', 1000) -- memory is cheap here
local parse, kept, count = cjson.decode, {}, 0
local function copy(value)
  if type(value) ~= 'table' then return value end
  local result = {}
  for field, item in pairs(value) do result[field] = copy(item) end
  return result
end
cjson.decode = function(json)
  local known = kept[json]
  if known == nil then
    known = parse(json)
    if count >= 4000 then kept, count = {}, 0 end
    kept[json], count = known, count + 1
  end
  return copy(known)
end`;
