/** The part of the interpreter that the simulation uses: the C API of Lua 5.1, compiled to WebAssembly. */
declare module 'wasmoon-lua5.1' {
  /** a `lua_State *` */
  type LuaState = number;
  interface LuaModule {
    /** replaced whenever the memory grows */
    readonly HEAPU8: Uint8Array<ArrayBuffer>;
    readonly HEAPU32: Uint32Array<ArrayBuffer>;
    readonly HEAPF64: Float64Array<ArrayBuffer>;
    addFunction(run: (state: LuaState) => number, signature: 'ii'): number;
    _malloc(bytes: number): number;
    _free(pointer: number): void;
    _luaL_newstate(): LuaState;
    _luaL_openlibs(state: LuaState): void;
    _luaL_loadbuffer(state: LuaState, text: number, bytes: number, name: number): number;
    _luaL_ref(state: LuaState, table: number): number;
    _lua_checkstack(state: LuaState, slots: number): number;
    _lua_createtable(state: LuaState, items: number, fields: number): void;
    _lua_error(state: LuaState): number;
    _lua_insert(state: LuaState, index: number): void;
    _lua_pcall(state: LuaState, given: number, wanted: number, handler: number): number;
    _lua_pushboolean(state: LuaState, value: number): void;
    _lua_pushcclosure(state: LuaState, run: number, upvalues: number): void;
    _lua_pushlightuserdata(state: LuaState, pointer: number): void;
    _lua_pushlstring(state: LuaState, text: number, bytes: number): void;
    _lua_pushnil(state: LuaState): void;
    _lua_pushnumber(state: LuaState, value: number): void;
    _lua_rawgeti(state: LuaState, index: number, at: number): void;
    _lua_rawset(state: LuaState, index: number): void;
    _lua_rawseti(state: LuaState, index: number, at: number): void;
    _lua_settop(state: LuaState, index: number): void;
  }
  export const LuaApi: { initialize(): Promise<{ readonly module: LuaModule }> };
}
