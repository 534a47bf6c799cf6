import { fastify } from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addAccess, type RouteRole } from '../../controller/src/api/access.ts';
import { ApiTokenList, ApiTokenReply, LoginLinkReply, type Role, WhoAmI } from '#shared/operator-schemas.ts';
import { newApiToken } from '#shared/api-token.ts';
import { systemClock } from '#shared/clock.ts';
import { InstallationId, keysOf } from '#shared/identity.ts';
import { Problem } from '#shared/problem.ts';
import { type Answer, type ApiWorld, createApiWorld, token as internalToken, until } from './api-world.ts';
import { job, pathOf, table } from './route-table.ts';

const rank: readonly RouteRole[] = ['anyone', 'viewer', 'jobs', 'admin'];
const csrf = { 'x-spoonbox-csrf': '1' };

let world: ApiWorld;
let requests = 0;
beforeAll(async () => {
  world = await createApiWorld();
  await world.ask('PUT', '/v1/boxes/alice/leases/j1', { body: job });
});
afterAll(() => world.close());

interface Asked {
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

/** Each request from an address of its own: no limit of failures is met. */
async function ask(method: string, path: string, { body, headers = {} }: Asked): Promise<Answer> {
  requests += 1;
  const address = `10.0.${requests >> 8}.${requests & 255}`;
  return await world.ask(method, path, {
    body,
    headers: { 'x-forwarded-for': address, authorization: '', ...headers },
  });
}

function bearer(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` };
}

async function made(role: Role, ttlMs?: number): Promise<ApiTokenReply> {
  const answer = await ask('POST', '/v1/tokens', {
    headers: bearer(internalToken),
    body: { name: `the ${role}`, role, ttlMs },
  });
  return ApiTokenReply.parse(answer.json);
}

async function codeBy(token: string): Promise<string> {
  const answer = await ask('POST', '/v1/login-links', { headers: bearer(token), body: {} });
  return new URL(LoginLinkReply.parse(answer.json).url).hash.replace('#login=', '');
}

async function loggedIn(token: string): Promise<{ cookie: string; answer: Answer }> {
  const answer = await ask('POST', '/v1/session', { body: { code: await codeBy(token) } });
  return { cookie: answer.headers.get('set-cookie')?.split(';')[0] ?? '', answer };
}

function codeOf({ json }: Answer): string {
  return Problem.safeParse(json).data?.code ?? 'no problem';
}

describe('every route', () => {
  /** Who asks, as headers; what may be done by whom; what else is refused, and how. */
  interface Kind {
    headers(method: string): Promise<Record<string, string>> | Record<string, string>;
    readonly role: RouteRole;
    /** refused with, where the role would not do; null: `role-too-low` */
    readonly refused: readonly [status: number, code: string] | null;
  }
  const reading = (method: string): boolean => method === 'GET';
  let held: Record<Role, ApiTokenReply>;
  let expired: ApiTokenReply;
  let revoked: ApiTokenReply;
  beforeAll(async () => {
    held = { viewer: await made('viewer'), jobs: await made('jobs'), admin: await made('admin') };
    [expired, revoked] = [await made('admin', 60_000), await made('admin')];
    await ask('DELETE', `/v1/tokens/${revoked.id}`, { headers: bearer(internalToken) });
    await world.passTokenTime(expired.id, 61_000);
  });

  const kinds: Record<string, Kind> = {
    'nobody that it knows': { headers: () => ({}), role: 'anyone', refused: [401, 'token-missing'] },
    'a wrong token': { headers: () => bearer('wrong'), role: 'anyone', refused: [401, 'token-wrong'] },
    'a token that was never made': {
      headers: () => bearer(newApiToken().token),
      role: 'anyone',
      refused: [401, 'token-wrong'],
    },
    'the id of a token with another secret': {
      headers: () => bearer(`sbx_${held.admin.id}_${'A'.repeat(43)}`),
      role: 'anyone',
      refused: [401, 'token-wrong'],
    },
    'an expired token': { headers: () => bearer(expired.token), role: 'anyone', refused: [401, 'token-expired'] },
    'a revoked token': { headers: () => bearer(revoked.token), role: 'anyone', refused: [401, 'token-wrong'] },
    'a token of role viewer': { headers: () => bearer(held.viewer.token), role: 'viewer', refused: null },
    'a token of role jobs': { headers: () => bearer(held.jobs.token), role: 'jobs', refused: null },
    'a token of role admin': { headers: () => bearer(held.admin.token), role: 'admin', refused: null },
    'the internal token': { headers: () => bearer(internalToken), role: 'admin', refused: null },
    'a wrong cookie': {
      headers: () => ({ cookie: `spoonbox_session=${'A'.repeat(43)}`, ...csrf }),
      role: 'anyone',
      refused: [401, 'login-ended'],
    },
    'a console': {
      headers: async () => ({ cookie: (await loggedIn(internalToken)).cookie, ...csrf }),
      role: 'admin',
      refused: null,
    },
  };

  test('says who may ask it, and stands in the table with the same', () => {
    const inTable = Object.entries(table).map(([route, { role }]) => `${route} ${role}`);
    expect(world.api.routes.map(({ method, url, role }) => `${method} ${url} ${role}`).toSorted()).toEqual(
      inTable.toSorted(),
    );
  });

  test('that does not say who may ask it does not start', () => {
    const app = fastify();
    const nothing = (): never => {
      throw new Error('nobody asks here');
    };
    const redis = {
      run: nothing,
      hashValues: nothing,
      streamTail: nothing,
      streamAfter: nothing,
      runId: nothing,
      subscribe: nothing,
      close: nothing,
    };
    const keys = keysOf(InstallationId.parse('test'));
    const publicUrl = 'http://127.0.0.1:3922';
    addAccess(app, { redis, keys, clock: systemClock, internalToken, apiRequestsPerS: 1, publicUrl });
    expect(() => app.get('/v1/new', () => 'open to everybody')).toThrow(/GET \/v1\/new does not say who may ask it/);
  });

  test.each(Object.keys(kinds))('for %s', async (name) => {
    const kind = kinds[name];
    if (!kind) throw new Error(name);
    for (const [route, entry] of Object.entries(table)) {
      const [method = '', url = ''] = route.split(' ');
      const path = entry.path ?? pathOf(url);
      const headers = await kind.headers(method);
      const answer = await ask(method, path, { headers, body: entry.body });
      if (rank.indexOf(kind.role) >= rank.indexOf(entry.role)) {
        expect([route, entry.answers.includes(answer.status), answer.status]).toEqual([route, true, answer.status]);
        continue;
      }
      const refused = kind.refused ?? [403, 'role-too-low'];
      expect([route, answer.status, codeOf(answer)]).toEqual([route, ...refused]);
      if (kind.refused === null) expect(answer.json).toMatchObject({ needs: entry.role, has: kind.role });
    }
  });

  test('that changes something takes no cookie without a header that only our own pages can send', async () => {
    const { cookie } = await loggedIn(internalToken);
    const ways: Record<string, string>[] = [
      {},
      { ...csrf, origin: 'https://evil.example' },
      { ...csrf, origin: 'null' },
      { ...csrf, 'sec-fetch-site': 'cross-site' },
      { ...csrf, 'sec-fetch-site': 'same-site' },
    ];
    for (const [route, entry] of Object.entries(table).filter(([, { role }]) => role !== 'anyone')) {
      const [method = '', url = ''] = route.split(' ');
      const path = url.replace(':user', 'nobody').replace(':id', 'a'.repeat(12));
      for (const way of ways) {
        const answer = await ask(method, path, { headers: { cookie, ...way }, body: entry.body });
        const code = answer.status === 403 ? codeOf(answer) : 'let in';
        expect([route, way, code]).toEqual([route, way, reading(method) ? 'let in' : 'csrf-refused']);
      }
    }
    const own = { ...csrf, origin: world.url, 'sec-fetch-site': 'same-origin' };
    expect((await ask('DELETE', '/v1/session', { headers: { cookie, ...own } })).status).toBe(204);
  });
});

describe('a lease', () => {
  const pin = { kind: 'pin', holder: 'ops', ttlMs: 86_400_000 };
  const terminal = { kind: 'terminal', holder: 'a gateway', ttlMs: 30_000 };

  test('that is a pin or a terminal’s is an admin’s to take, renew and give back; a job is of role jobs', async () => {
    const [jobs, admin] = [bearer((await made('jobs')).token), bearer((await made('admin')).token)];
    const at = (id: string): string => `/v1/boxes/hal/leases/${id}`;
    const refused = [403, 'role-too-low'];
    for (const body of [pin, terminal]) {
      const ways = [
        ['PUT', at(body.kind), body],
        ['POST', `${at(body.kind)}/renew`, {}],
        ['POST', `${at(body.kind)}/renew`, { ttlMs: 20_000 }],
        ['DELETE', at(body.kind), undefined],
      ] as const;
      expect((await ask('PUT', at(body.kind), { headers: admin, body })).status).toBe(200);
      for (const [method, path, sent] of ways) {
        const answer = await ask(method, path, { headers: jobs, body: sent });
        expect([method, answer.status, codeOf(answer)]).toEqual([method, ...refused]);
        expect(answer.json).toMatchObject({ needs: 'admin', has: 'jobs' });
      }
      for (const [method, path, sent] of ways) {
        expect([method, (await ask(method, path, { headers: admin, body: sent })).status]).toEqual([method, 200]);
      }
    }
    const [put, renewed, released] = [
      await ask('PUT', at('own'), { headers: jobs, body: job }),
      await ask('POST', `${at('own')}/renew`, { headers: jobs, body: {} }),
      await ask('DELETE', at('own'), { headers: jobs }),
    ];
    expect([put.status, renewed.status, released.status]).toEqual([200, 200, 200]);
    expect(codeOf(await ask('DELETE', at('never'), { headers: jobs }))).toBe('lease-unknown');
  });
});

describe('a token', () => {
  test('is told once, kept by its hash only, listed, and noted when it is used', async () => {
    const { token, ...listed } = await made('viewer', 60_000);
    expect(listed).toMatchObject({ name: 'the viewer', role: 'viewer', lastUsedAt: null });
    expect(listed.expiresAt).toBe(listed.createdAt + 60_000);
    await ask('GET', '/v1/classes', { headers: bearer(token) });
    const list = await ask('GET', '/v1/tokens', { headers: bearer(internalToken) });
    const found = ApiTokenList.parse(list.json).items.find(({ id }) => id === listed.id);
    expect(found?.lastUsedAt).toBeGreaterThanOrEqual(listed.createdAt);
    const secret = token.slice(-43);
    expect(list.text).not.toContain(secret);
    expect(JSON.stringify(list.json)).not.toContain('hash');
    expect(world.logged.join('')).not.toContain(secret);
    expect(await world.dump()).not.toContain(secret);
  });

  test('that is revoked stops at once where that was done, and soon elsewhere; so does what it watches', async () => {
    const { token, id } = await made('viewer');
    const other = await world.another();
    const here = async (): Promise<number> => (await ask('GET', '/v1/boxes', { headers: bearer(token) })).status;
    const there = async (): Promise<number> =>
      (await fetch(`${other.url}/v1/boxes`, { headers: bearer(token) })).status;
    expect([await here(), await there()]).toEqual([200, 200]);
    const watches = await Promise.all(
      [world, other].map(({ url }) => fetch(`${url}/v1/boxes?watch=1`, { headers: bearer(token) })),
    );
    const internal = await fetch(`${world.url}/v1/boxes?watch=1`, { headers: bearer(internalToken) });
    const ends = watches.map((watch) =>
      watch.text().then(
        () => 'ended',
        () => 'cut',
      ),
    );
    await ask('DELETE', `/v1/tokens/${id}`, { headers: bearer(internalToken) });
    expect(await here()).toBe(401);
    await until(async () => (await there()) === 401, 'it is refused there too');
    expect(await Promise.all(ends)).toEqual(['cut', 'cut']);
    const goesOn = Symbol('goes on');
    const reader = internal.body?.getReader();
    await reader?.read();
    expect(await Promise.race([reader?.closed, Promise.resolve(goesOn)])).toBe(goesOn);
    await reader?.cancel();
    await other.close();
  });

  test('names who asked, in events and in the log', async () => {
    const { token, id } = await made('admin');
    await ask('PUT', '/v1/boxes/carl/leases/j1', { headers: bearer(token), body: job });
    await ask('DELETE', '/v1/boxes/carl/leases/j1', { headers: bearer(token) });
    await ask('POST', '/v1/boxes/carl/actions', { headers: bearer(token), body: { action: 'reap' } });
    const { json } = await ask('GET', '/v1/boxes/carl/events', { headers: bearer(token) });
    expect(json).toMatchObject({
      items: expect.arrayContaining([
        expect.objectContaining({ reason: 'Wish', by: 'the admin', message: 'reap asked for by the admin' }),
        expect.objectContaining({ reason: 'LeaseEnded', by: 'the admin' }),
      ]),
    });
    expect(world.logged.some((line) => line.includes(`"by":"the admin","callerId":"${id}"`))).toBe(true);
  });

  test('of a name or a role that is none is refused, and so is an unknown one that is revoked', async () => {
    const headers = bearer(internalToken);
    for (const body of [
      { name: '', role: 'viewer' },
      { name: 'a\nb', role: 'viewer' },
      { name: 'x', role: 'root' },
      {},
    ]) {
      expect(codeOf(await ask('POST', '/v1/tokens', { headers, body }))).toBe('request-invalid');
    }
    expect(codeOf(await ask('DELETE', '/v1/tokens/NO', { headers }))).toBe('request-invalid');
    expect(codeOf(await ask('DELETE', `/v1/tokens/${'a'.repeat(12)}`, { headers }))).toBe('token-unknown');
  });
});

describe('a console', () => {
  test('is let in by a link, once, with a cookie that no script and no other site can use', async () => {
    const code = await codeBy(internalToken);
    const answer = await ask('POST', '/v1/session', { body: { code } });
    const who = {
      role: 'admin',
      by: 'cookie',
      name: 'internal token (console)',
      terminalUrl: 'ws://127.0.0.1:3921/v1/terminal',
    };
    expect(WhoAmI.parse(answer.json)).toMatchObject(who);
    const setCookie = answer.headers.get('set-cookie') ?? '';
    expect(setCookie).toMatch(/^spoonbox_session=[\w-]{43}; Max-Age=43200; Path=\/; HttpOnly; SameSite=Strict$/);
    expect(codeOf(await ask('POST', '/v1/session', { body: { code } }))).toBe('login-code-wrong');
    const cookie = setCookie.split(';')[0] ?? '';
    expect((await ask('GET', '/v1/session', { headers: { cookie } })).json).toMatchObject(who);
    for (const secret of [code, cookie.slice(-43)]) {
      expect(world.logged.join('')).not.toContain(secret);
      expect(await world.dump()).not.toContain(secret);
    }
    expect((await ask('DELETE', '/v1/session', { headers: { cookie, ...csrf } })).headers.get('set-cookie')).toMatch(
      /^spoonbox_session=; Max-Age=0/,
    );
    expect(codeOf(await ask('GET', '/v1/session', { headers: { cookie } }))).toBe('login-ended');
  });

  test('stops with the token that let it in, and so does a link that was not used yet', async () => {
    const { token, id } = await made('admin');
    const { cookie } = await loggedIn(token);
    const code = await codeBy(token);
    expect((await ask('GET', '/v1/session', { headers: { cookie } })).json).toMatchObject({
      name: 'the admin (console)',
    });
    await ask('DELETE', `/v1/tokens/${id}`, { headers: bearer(internalToken) });
    expect(codeOf(await ask('GET', '/v1/session', { headers: { cookie } }))).toBe('login-ended');
    expect(codeOf(await ask('POST', '/v1/session', { body: { code } }))).toBe('login-code-wrong');
  });

  test('may no more than whoever made its link, and less where the link says so', async () => {
    const link = async (token: string, body: object): Promise<Answer> =>
      await ask('POST', '/v1/login-links', { headers: bearer(token), body });
    const roleBy = async ({ json }: Answer): Promise<string> => {
      const code = new URL(LoginLinkReply.parse(json).url).hash.replace('#login=', '');
      const answer = await ask('POST', '/v1/session', { body: { code } });
      const cookie = answer.headers.get('set-cookie')?.split(';')[0] ?? '';
      const { role } = WhoAmI.parse((await ask('GET', '/v1/session', { headers: { cookie } })).json);
      expect(WhoAmI.parse(answer.json).role).toBe(role);
      const changed = await ask('PUT', '/v1/reconciler/mode', { headers: { cookie, ...csrf }, body: { mode: 'run' } });
      expect(changed.status).toBe(role === 'admin' ? 200 : 403);
      return role;
    };
    const viewer = (await made('viewer')).token;
    expect(await roleBy(await link(internalToken, {}))).toBe('admin');
    expect(await roleBy(await link(internalToken, { role: 'viewer' }))).toBe('viewer');
    expect(await roleBy(await link(viewer, {}))).toBe('viewer');
    for (const role of ['jobs', 'admin']) expect(codeOf(await link(viewer, { role }))).toBe('role-too-low');
  });

  test('is let in through no page of another site', async () => {
    const body = { code: await codeBy(internalToken) };
    const foreign = { origin: 'https://evil.example' };
    expect(codeOf(await ask('POST', '/v1/session', { body, headers: foreign }))).toBe('csrf-refused');
    expect((await ask('POST', '/v1/session', { body, headers: { origin: world.url } })).status).toBe(200);
  });

  test('behind a proxy with TLS has a cookie for TLS only, and is of the host that the proxy names', async () => {
    const secure = await world.another({ publicUrl: 'https://spoon.example/box' });
    const send = async (path: string, body: unknown, headers: Record<string, string>): Promise<Response> =>
      await fetch(secure.url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      });
    const { url } = LoginLinkReply.parse(await (await send('/v1/login-links', {}, bearer(internalToken))).json());
    expect(url).toMatch(/^https:\/\/spoon\.example\/box\/console\/#login=/);
    const proxied = { 'x-forwarded-host': 'spoon.example', origin: 'https://spoon.example' };
    const code = new URL(url).hash.slice('#login='.length);
    const answer = await send('/v1/session', { code }, proxied);
    expect(answer.headers.get('set-cookie')).toMatch(/; HttpOnly; Secure; SameSite=Strict$/);
    const cookie = answer.headers.get('set-cookie')?.split(';')[0] ?? '';
    expect((await send('/v1/login-links', {}, { cookie, ...csrf, ...proxied })).status).toBe(200);
    const hostUntold = { origin: 'https://spoon.example' };
    expect((await send('/v1/login-links', {}, { cookie, ...csrf, ...hostUntold })).status).toBe(200);
    await secure.close();
  });
});

describe('too many requests', () => {
  test('of one token are refused with the time to wait, and those of others are not', async () => {
    const slow = await world.another({ apiRequestsPerS: 5 });
    const [one, two] = [await made('viewer'), await made('viewer')];
    const get = async (token: string): Promise<Response> =>
      await fetch(`${slow.url}/v1/classes`, { headers: bearer(token) });
    const answers = await Promise.all(Array.from({ length: 100 }, () => get(one.token)));
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused[0]?.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(Problem.parse(await refused[0]?.json()).code).toBe('too-many-requests');
    expect((await get(two.token)).status).toBe(200);
    const health = await Promise.all(Array.from({ length: 20 }, () => fetch(`${slow.url}/healthz`)));
    expect(health.every(({ status }) => status === 200)).toBe(true);
    await slow.close();
  });

  test('without a valid token, or with wrong codes, are refused by address; who is known is let in from there all the same', async () => {
    const from = (address: string): Record<string, string> => ({ 'x-forwarded-for': address });
    const { token } = await made('viewer');
    for (const [address, attempt] of [
      ['10.9.0.1', () => ask('GET', '/v1/boxes', { headers: { ...from('10.9.0.1'), ...bearer('wrong') } })],
      ['10.9.0.2', () => ask('POST', '/v1/session', { headers: from('10.9.0.2'), body: { code: 'wrong' } })],
    ] as const) {
      expect((await attempt()).status).toBe(401);
      const answers = await Promise.all(Array.from({ length: 60 }, attempt));
      expect(answers.filter(({ status }) => status === 429).length).toBeGreaterThan(0);
      expect((await ask('GET', '/v1/boxes', { headers: { ...from(address), ...bearer(token) } })).status).toBe(200);
      expect((await ask('GET', '/v1/boxes', { headers: { ...from('10.9.0.3'), ...bearer('wrong') } })).status).toBe(
        401,
      );
    }
  });
});

describe('while Redis is down', () => {
  test('the internal token and who was checked just now go on; everybody else is told to come again', async () => {
    const [known, unknown] = [await made('viewer'), await made('viewer')];
    const { cookie } = await loggedIn(internalToken);
    await ask('GET', '/v1/session', { headers: { cookie } });
    await ask('GET', '/v1/classes', { headers: bearer(known.token) });
    await world.redis.stop();
    const status = async (headers: Record<string, string>): Promise<number> =>
      (await ask('GET', '/v1/classes', { headers })).status;
    expect(await status(bearer(known.token))).toBe(200);
    expect(await status({ cookie })).toBe(200);
    expect(await status(bearer(internalToken))).toBe(200);
    expect(codeOf(await ask('GET', '/v1/classes', { headers: bearer(unknown.token) }))).toBe('redis-unavailable');
    expect(codeOf(await ask('POST', '/v1/session', { body: { code: 'x' } }))).toBe('redis-unavailable');
    for (const headers of [bearer(known.token), { cookie }]) {
      await until(async () => (await status(headers)) === 503, 'the last look is older than 5 s');
    }
    expect(await status(bearer(internalToken))).toBe(200);
    await world.redis.restart();
    await until(async () => (await status(bearer(known.token))) === 200, 'it is let in again');
  });
});
