import { LuaApi } from 'wasmoon-lua5.1';

/** The interpreter: the C API of Lua 5.1, compiled to WebAssembly. */
export const { module } = await LuaApi.initialize();

export const type = { nil: 0, boolean: 1, lightUserdata: 2, number: 3, string: 4, table: 5 } as const;

/**
 * Where Lua 5.1 keeps what it has, in bytes on a 32-bit machine (`lobject.h`, `lstate.h`). Values are read as they lie there:
 * a call of the API for each would cost more than all that the scripts do. `checkLayout` finds an interpreter that differs.
 */
const state = { top: 8, base: 12 } as const;
const value = { type: 8, size: 16 } as const;
const text = { length: 12, bytes: 16 } as const;
const table = { logNodes: 7, items: 12, nodes: 16, itemCount: 28 } as const;
const node = { key: 16, size: 32 } as const;

export function word(at: number): number {
  return module.HEAPU32[at >> 2] ?? 0;
}

/** The address of the running function's first argument. */
export function firstArgument(luaState: number): number {
  return word(luaState + state.base);
}

/** The address behind the last value of the stack. */
export function topOf(luaState: number): number {
  return word(luaState + state.top);
}

export function argumentCount(luaState: number): number {
  return (topOf(luaState) - firstArgument(luaState)) / value.size;
}

/** The address of the value that follows. */
export function after(at: number): number {
  return at + value.size;
}

/** The address of the last value of the stack. */
export function lastOf(luaState: number): number {
  return topOf(luaState) - value.size;
}

export function typeAt(at: number): number {
  return word(at + value.type);
}

export function numberAt(at: number): number {
  return module.HEAPF64[at >> 3] ?? 0;
}

/** Writes a value of any type but number. A slot of the stack, or of a table that was made just now, needs no barrier. */
export function writeAt(at: number, as: number, content: number): void {
  module.HEAPU32[at >> 2] = content;
  module.HEAPU32[(at + value.type) >> 2] = as;
}

export function writeNumberAt(at: number, content: number): void {
  module.HEAPF64[at >> 3] = content;
  module.HEAPU32[(at + value.type) >> 2] = type.number;
}

/** One value more on the stack, in a slot that the API promises to every C function. */
export function pushed(luaState: number): number {
  const at = topOf(luaState);
  module.HEAPU32[(luaState + state.top) >> 2] = at + value.size;
  return at;
}

/** The bytes of a string object. */
export function textSpan(object: number): { at: number; bytes: number } {
  return { at: object + text.bytes, bytes: word(object + text.length) };
}

/** The address of a table's item; 0 = it is not among those that lie in a row. */
export function itemOf(object: number, index: number): number {
  return index <= word(object + table.itemCount) ? word(object + table.items) + (index - 1) * value.size : 0;
}

/** All pairs that are there, in the order of `next`. The first argument of the callback is 0 for an item of the row. */
export function eachPair(object: number, told: (key: number, at: number, index: number) => void): void {
  const count = word(object + table.itemCount);
  for (let index = 1; index <= count; index += 1) {
    const at = itemOf(object, index);
    if (typeAt(at) !== type.nil) told(0, at, index);
  }
  const nodes = word(object + table.nodes);
  const end = nodes + (node.size << (module.HEAPU8[object + table.logNodes] ?? 0));
  for (let at = nodes; at < end; at += node.size) {
    if (typeAt(at) !== type.nil) told(at + node.key, at, 0);
  }
}

/** A table with one value of each kind, made by the API and read here. */
export function checkLayout(luaState: number): void {
  const letter = module._malloc(8);
  module.HEAPU8[letter] = 'k'.charCodeAt(0);
  module._lua_createtable(luaState, 2, 1);
  module._lua_pushnumber(luaState, 2.5);
  module._lua_rawseti(luaState, -2, 1);
  module._lua_pushboolean(luaState, 1);
  module._lua_rawseti(luaState, -2, 2);
  module._lua_pushlstring(luaState, letter, 1);
  module._lua_pushlstring(luaState, letter, 1);
  module._lua_rawset(luaState, -3);
  module._free(letter);
  const found: unknown[] = [];
  const isLetter = (at: number): boolean => {
    const { at: start, bytes } = textSpan(word(at));
    return typeAt(at) === type.string && bytes === 1 && module.HEAPU8[start] === 'k'.charCodeAt(0);
  };
  const made = lastOf(luaState);
  eachPair(word(made), (key, at, index) => {
    if (index === 1) found.push(typeAt(at) === type.number && numberAt(at) === 2.5);
    else if (index === 2) found.push(typeAt(at) === type.boolean && word(at) === 1);
    else found.push(isLetter(key) && isLetter(at));
  });
  const isKnown = typeAt(made) === type.table && found.length === 3 && found.every((as) => as === true);
  module._lua_settop(luaState, -2);
  if (!isKnown) throw new Error('the Lua interpreter lays out its memory in another way than Lua 5.1 of 32 bits does');
}
