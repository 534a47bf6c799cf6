import type { Breakage } from './breakages.ts';

const store = 'test/contract/box-store.redis.test.ts';
const access = 'test/api/access.test.ts';
const check = 'test/unit/token-check.test.ts';

/** Of who may ask: tokens, roles, consoles. */
export const ofAccess: readonly Breakage[] = [
  {
    name: 'whoever calls the API is let in',
    promise: 'no route but health without a token',
    file: 'shared/src/token-check.ts',
    text: 'if (isSameHash(hash, internalHash)) return',
    replacement: 'if (hash.length === internalHash.length) return',
    caughtBy: { file: 'test/api/boxes.test.ts', test: 'a wrong one is refused on every route' },
  },
  {
    name: 'access: a token passes by its id alone',
    promise: 'the id of a token is no secret',
    file: 'shared/src/access-store.ts',
    text: ' || !isSameHash(record.data.hash, hash)',
    replacement: '',
    caughtBy: { file: store, test: 'is found by itself and by nothing else' },
  },
  {
    name: 'access: a token outlives its time',
    promise: 'an expired token allows nothing',
    file: 'shared/src/access-store.ts',
    text: 'expiresAt <= reply.now',
    replacement: 'expiresAt < 0',
    caughtBy: { file: store, test: 'that has expired is told so for a day' },
  },
  {
    name: 'access: a token that was right once is right for ever',
    promise: 'a revoked token stops within 5 s',
    file: 'shared/src/short-memory.ts',
    text: 'if (entry.until > this.#clock.monotonicMs()) return entry.value;',
    replacement: 'if (entry.until > 0) return entry.value;',
    caughtBy: { file: check, test: 'is looked up again 5 s after it was asked for' },
  },
  {
    name: 'access: the role of a token is not looked at',
    promise: 'each role may do all that those before it may, and no more',
    file: 'controller/src/api/access.ts',
    text: 'if (!mayDo(caller.role, role)) throw',
    replacement: "if (!mayDo('admin', role)) throw",
    caughtBy: { file: access, test: 'every route for a token of role viewer' },
  },
  {
    name: 'access: a route may leave out who may ask it',
    promise: 'a route without a role does not start',
    file: 'controller/src/api/access.ts',
    text: 'if (role === undefined) throw',
    replacement: "if (role === undefined && url === '') throw",
    caughtBy: { file: access, test: 'that does not say who may ask it does not start' },
  },
  {
    name: 'access: a cookie is enough to change something',
    promise: 'a page of another site can change nothing',
    file: 'controller/src/api/access.ts',
    text: "if (caller.by === 'cookie') refuseForeignChange(",
    replacement: "if (caller.id === '') refuseForeignChange(",
    caughtBy: { file: access, test: 'takes no cookie without a header that only our own pages can send' },
  },
  {
    name: 'access: what a revoked token watches goes on',
    promise: 'a revoked token stops',
    file: 'controller/src/api/end-revoked.ts',
    text: '      response.destroy();\n',
    replacement: '',
    caughtBy: { file: access, test: 'and soon elsewhere; so does what it watches' },
  },
  {
    name: 'access: wrong tokens may be tried as fast as one likes',
    promise: 'failures are limited by address',
    file: 'controller/src/api/request-rates.ts',
    text: 'const failuresPerS = 20;',
    replacement: 'const failuresPerS = 1_000_000;',
    caughtBy: { file: access, test: 'are refused by address' },
  },
  {
    name: 'access: a login code passes twice',
    promise: 'a login link logs one browser in, once',
    file: 'shared/lua/log-in.lua',
    text: "redis.call('DEL', KEYS[1])\n",
    replacement: '',
    caughtBy: { file: store, test: 'begins with a code, which passes once' },
  },
  {
    name: 'access: a console outlives the token that let it in',
    promise: 'a console may nothing any more once its maker is revoked',
    file: 'shared/lua/find-login.lua',
    text: 'if not login or not maker_lives(login, KEYS[2], now) then',
    replacement: 'if not login then',
    caughtBy: { file: store, test: 'ends when the token is revoked that let it in' },
  },
  {
    name: 'access: a viewer runs commands',
    promise: 'commands need the role jobs',
    file: 'gateway/src/jobs/who.ts',
    text: "if (!mayDo(role, 'jobs')) return",
    replacement: "if (!mayDo(role, 'viewer')) return",
    caughtBy: { file: 'test/gateway/jobs.test.ts', test: 'whose role is jobs or more' },
  },
];
