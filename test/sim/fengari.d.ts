/** The part of fengari that the simulation uses; the package has no types of its own. */
declare module 'fengari' {
  interface LuaState {
    readonly brand: unique symbol;
  }
  type LuaString = Uint8Array;
  export function to_luastring(text: string): LuaString;
  export function to_jsstring(text: LuaString): string;
  export const lualib: { luaL_openlibs(state: LuaState): void };
  export const lauxlib: {
    luaL_newstate(): LuaState;
    luaL_dostring(state: LuaState, text: LuaString): number;
    luaL_loadstring(state: LuaState, text: LuaString): number;
    luaL_ref(state: LuaState, table: number): number;
  };
  export const lua: {
    readonly LUA_REGISTRYINDEX: number;
    readonly LUA_TNIL: number;
    readonly LUA_TBOOLEAN: number;
    readonly LUA_TNUMBER: number;
    readonly LUA_TSTRING: number;
    readonly LUA_TTABLE: number;
    lua_absindex(state: LuaState, index: number): number;
    lua_createtable(state: LuaState, items: number, fields: number): void;
    lua_gettop(state: LuaState): number;
    lua_newtable(state: LuaState): void;
    lua_next(state: LuaState, index: number): number;
    lua_pcall(state: LuaState, given: number, wanted: number, handler: number): number;
    lua_pop(state: LuaState, count: number): void;
    lua_pushboolean(state: LuaState, value: number): void;
    lua_pushcfunction(state: LuaState, run: () => number): void;
    lua_pushlightuserdata(state: LuaState, value: object): void;
    lua_pushnil(state: LuaState): void;
    lua_pushnumber(state: LuaState, value: number): void;
    lua_pushstring(state: LuaState, value: LuaString): void;
    lua_rawgeti(state: LuaState, index: number, at: number): void;
    lua_rawseti(state: LuaState, index: number, at: number): void;
    lua_setfield(state: LuaState, index: number, name: LuaString): void;
    lua_setglobal(state: LuaState, name: LuaString): void;
    lua_settable(state: LuaState, index: number): void;
    lua_settop(state: LuaState, index: number): void;
    lua_toboolean(state: LuaState, index: number): boolean;
    lua_tonumber(state: LuaState, index: number): number;
    lua_tostring(state: LuaState, index: number): LuaString;
    lua_type(state: LuaState, index: number): number;
  };
}
