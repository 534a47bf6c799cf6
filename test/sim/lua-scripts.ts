import type { ScriptName } from '#shared/redis-port.ts';
import { scriptText } from '#shared/scripts.ts';
import { LuaError } from './lua-error.ts';
import { LuaState, type Reply } from './lua-state.ts';

/** The project's own `.lua` files in a Lua interpreter of the version that Redis has: no second implementation of any. */
export class LuaScripts {
  private readonly lua = new LuaState();
  private readonly compiled = new Map<ScriptName, number>();
  private call: (command: readonly string[]) => Reply = () => null;

  constructor() {
    const { lua } = this;
    lua.library('redis', { call: () => lua.push(this.call(lua.words())) }, 'table');
    const cjson = {
      encode: () => lua.push(lua.json()),
      decode: () => lua.pushJson(fromJson(lua.word())),
      maker: () => lua.pushMaker(fromJson(lua.word())),
    };
    lua.library('cjson', cjson, 'string');
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
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new LuaError('Expected value but found invalid token');
  }
}

/**
 * The same few texts are decoded again and again: from its second time on, a text is a function that makes its value. Both
 * ways make the same table, down to the order of its fields, so no story depends on what was decoded before.
 */
const keptDecode = `
local parse, maker, null, kept, count = cjson.decode, cjson.maker, cjson.decode('null'), {}, 0
cjson.maker = nil
cjson.decode = function(json)
  local known = kept[json]
  if known == nil then
    local value = parse(json)
    if count >= 500 then kept, count = {}, 0 end
    kept[json], count = false, count + 1
    return value
  end
  if known == false then
    known = maker(json) or function() return parse(json) end
    kept[json] = known
  end
  return known(null)
end`;
