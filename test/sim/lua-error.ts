/** An error that Lua code can catch: `redis.call` raises a table, the libraries a string. */
export class LuaError extends Error {}
