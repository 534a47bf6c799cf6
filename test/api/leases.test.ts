import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LeaseReply, RenewReply } from '#shared/api-schemas.ts';
import { type Clock, systemClock } from '#shared/clock.ts';
import { Problem } from '#shared/problem.ts';
import { type Answer, type ApiWorld, createApiWorld, until } from './api-world.ts';

let world: ApiWorld;
beforeAll(async () => {
  world = await createApiWorld();
});
afterAll(() => world.close());

const job = { kind: 'job', holder: 'agent-7', ttlMs: 60_000 };

async function take(user: string, id: string, body: object = job, query = '') {
  return await world.ask('PUT', `/v1/boxes/${user}/leases/${id}${query}`, { body });
}

function codeOf(answer: { json: unknown; headers: Headers; status: number }): string {
  expect(answer.headers.get('content-type')).toContain('application/problem+json');
  const problem = Problem.parse(answer.json);
  expect(problem.status).toBe(answer.status);
  expect(problem.detail.length).toBeGreaterThan(20);
  return problem.code;
}

describe('taking a lease', () => {
  test('answers at once with what the box does, and is idempotent', async () => {
    const first = await take('ann', 'j1');
    expect(first.status).toBe(200);
    const reply = LeaseReply.parse(first.json);
    expect(reply.ready).toBe(false);
    expect(reply.waitsFor).toMatch(/controller/);
    expect(reply.lease.expiresAt - reply.now).toBeGreaterThan(55_000);
    expect(reply.box.class).toBe('default');
    const again = LeaseReply.parse((await take('ann', 'j1')).json);
    expect(again.box.leases).toHaveLength(1);
    expect(again.lease.expiresAt).toBeGreaterThanOrEqual(reply.lease.expiresAt);
  });

  test('with waitMs answers as soon as the box is ready', async () => {
    // No timer fires: what is not woken by the change does not find it either when it looks again by itself.
    let isStill = true;
    const after: Clock['after'] = (ms, run) => (isStill ? () => {} : systemClock.after(ms, run));
    const still = await createApiWorld({ clock: { ...systemClock, after } });
    try {
      let answer: Answer | undefined;
      const waiting = still.ask('PUT', '/v1/boxes/bea/leases/j1?waitMs=20000', { body: job });
      waiting.then(
        (come) => {
          answer = come;
        },
        () => {}, // it has ended with this world
      );
      await until(async () => (await still.ask('GET', '/v1/boxes/bea')).status === 200, 'the lease is there');
      await still.commit('bea', { phase: 'provisioning', step: 'creating', message: 'the container is made' });
      await still.commit('bea', { phase: 'ready', step: 'active', containerId: 'c1' });
      const { json } = await until(() => answer, 'the answer');
      const reply = LeaseReply.parse(json);
      expect(reply).toMatchObject({ ready: true, waitsFor: null, box: { containerId: 'c1', phase: 'ready' } });
    } finally {
      isStill = false;
      await still.close();
    }
  });

  test('with waitMs answers at the end with what it waits for', async () => {
    await take('cai', 'j1');
    await world.commit('cai', {
      phase: 'provisioning',
      step: 'pulling',
      message: 'the image is pulled',
      progress: { image: 'x', doneBytes: 430, totalBytes: 1000, layersDone: 1, layers: 3 },
    });
    const before = performance.now();
    const reply = LeaseReply.parse((await take('cai', 'j1', job, '?waitMs=300')).json);
    expect(performance.now() - before).toBeGreaterThanOrEqual(290);
    expect(reply).toMatchObject({ ready: false, waitsFor: 'image is pulled 43 %' });
  });

  test('shows what it wants recorded of terminals, and refuses what nobody can record', async () => {
    const reply = LeaseReply.parse((await take('eli', 'j1', { ...job, record: 'output' })).json);
    expect(reply.box.leases).toMatchObject([{ id: 'j1', record: 'output' }]);
    expect((await take('eli', 'j2')).json).toMatchObject({ box: { leases: [{ record: 'output' }, { id: 'j2' }] } });
    expect(codeOf(await take('eli', 'j1', { ...job, record: 'off' }))).toBe('request-invalid');
  });

  test('keeps the checkout that it names, and refuses one that is no directory in the home', async () => {
    const checkout = { spoon: 'shop', branch: 'fix/tax', clone: { url: 'https://git.example.org/shop.git' } };
    const reply = LeaseReply.parse((await take('fay', 'j1', { ...job, checkout })).json);
    expect(reply.box.leases).toMatchObject([{ id: 'j1', checkout }]);
    const other = await take('fay', 'j1', { ...job, checkout: { ...checkout, branch: 'main' } });
    expect(codeOf(other)).toBe('lease-mismatch');
    for (const wrong of [
      { spoon: 'shop' },
      { spoon: 'shop', branch: '../../x' },
      { ...checkout, clone: { url: 'file:///home/spoon/x' } },
    ]) {
      expect(codeOf(await take('fay', 'j2', { ...job, checkout: wrong }))).toBe('request-invalid');
    }
  });

  test('renews the lease while its holder waits', async () => {
    const waiting = take('dan', 'j1', { ...job, ttlMs: 10_000 }, '?waitMs=4500');
    const reply = LeaseReply.parse((await waiting).json);
    expect(reply.lease.expiresAt - reply.now).toBeGreaterThan(8_000);
  });

  test('says so at once when an operator ends the lease meanwhile', async () => {
    const waiting = take('dov', 'j1', { ...job, ttlMs: 10_000 }, '?waitMs=60000');
    await until(async () => (await world.ask('GET', '/v1/boxes/dov')).status === 200, 'the lease is there');
    await world.ask('POST', '/v1/boxes/dov/actions', { body: { action: 'reap' } });
    const answer = await waiting;
    expect(answer.status).toBe(410);
    expect(codeOf(answer)).toBe('lease-ended');
    expect(answer.json).toMatchObject({ reason: 'reaped' });
  });

  test('stops waiting when the client goes', async () => {
    const client = new AbortController();
    const waiting = fetch(`${world.url}/v1/boxes/eva/leases/j1?waitMs=60000`, {
      method: 'PUT',
      headers: { authorization: 'Bearer test-token-0123456789', 'content-type': 'application/json' },
      body: JSON.stringify(job),
      signal: client.signal,
    });
    await until(async () => (await world.ask('GET', '/v1/boxes/eva')).status === 200, 'the lease is there');
    client.abort();
    await expect(waiting).rejects.toThrow();
    await until(() => world.logged.some((line) => line.includes('/v1/boxes/eva/leases/j1')), 'the request has ended');
    const { count } = world.reads;
    await world.commit('eva', { phase: 'ready', containerId: 'c1' });
    await new Promise((resolve) => setTimeout(resolve, 1_300));
    expect(world.reads.count).toBe(count);
  });

  test('a box that an operator wants gone does not count as ready', async () => {
    await take('fay', 'j1');
    await world.commit('fay', { phase: 'ready', step: 'active', containerId: 'old' });
    await world.ask('POST', '/v1/boxes/fay/actions', { body: { action: 'recreate' } });
    const reply = LeaseReply.parse((await take('fay', 'j1', job, '?waitMs=50')).json);
    expect(reply.ready).toBe(false);
  });
});

describe('refusals of a lease', () => {
  test.each([
    ['an unknown kind', { ...job, kind: 'lock' }, 400, 'request-invalid'],
    ['no kind', { holder: 'x', ttlMs: 60_000 }, 400, 'request-invalid'],
    ['an unknown field', { ...job, color: 'red' }, 400, 'request-invalid'],
    ['a ttl of the wrong type', { ...job, ttlMs: '60000' }, 400, 'request-invalid'],
    ['a ttl below the bound', { ...job, ttlMs: 9_999 }, 422, 'ttl-refused'],
    ['a ttl above the bound', { ...job, ttlMs: 300_001 }, 422, 'ttl-refused'],
    ['a ttl that is no whole number', { ...job, ttlMs: 20_000.5 }, 422, 'ttl-refused'],
    ['a pin beyond 30 days', { ...job, kind: 'pin', ttlMs: 31 * 86_400_000 }, 422, 'ttl-refused'],
    ['an unknown class', { ...job, class: 'huge' }, 422, 'class-unknown'],
    ['a class that is no name', { ...job, class: '../etc' }, 400, 'request-invalid'],
    ['an empty holder', { ...job, holder: '' }, 400, 'request-invalid'],
    ['a holder of two lines', { ...job, holder: 'a\nb' }, 400, 'request-invalid'],
    ['a list for a body', [job], 400, 'request-invalid'],
  ])('%s', async (_what, body, status, code) => {
    const answer = await take('gil', 'j1', body);
    expect([answer.status, codeOf(answer)]).toEqual([status, code]);
    expect((await world.ask('GET', '/v1/boxes/gil')).status).toBe(404);
  });

  test.each([
    ['no body', { raw: '' }, 400],
    ['a broken body', { raw: '{"kind": "job"' }, 400],
    ['a body that poisons prototypes', { raw: '{"__proto__": {"x": 1}}' }, 400],
    ['another media type', { raw: 'kind=job', headers: { 'content-type': 'application/x-www-form-urlencoded' } }, 415],
    ['a body over 64 KiB', { raw: JSON.stringify({ ...job, holder: 'x'.repeat(70_000) }) }, 413],
  ])('%s', async (_what, options, status) => {
    const answer = await world.ask('PUT', '/v1/boxes/gil/leases/j1', options);
    expect(answer.status).toBe(status);
    codeOf(answer);
  });

  test.each(['..', '.hidden', 'a..b', 'a%2Fb', 'a%20b', 'x'.repeat(40), 'x'.repeat(500), 'na%C3%AFve', '%00'])(
    'the user name %s',
    async (name) => {
      const answer = await world.ask('PUT', `/v1/boxes/${name}/leases/j1`, { body: job });
      // `..` is resolved by the client itself, so that another route is asked for.
      expect([400, 404]).toContain(answer.status);
      expect(['user-invalid', 'route-unknown']).toContain(codeOf(answer));
    },
  );

  test('a bad lease id, a bad query, a broken percent-encoding', async () => {
    expect(codeOf(await take('gil', 'a%20b'))).toBe('request-invalid');
    for (const query of ['?waitMs=120001', '?waitMs=-1', '?waitMs=1e3', '?waitMs=', '?wait=1', '?waitMs=1&waitMs=2']) {
      expect(codeOf(await take('gil', 'j1', job, query))).toBe('request-invalid');
    }
    expect(codeOf(await world.ask('PUT', '/v1/boxes/%zz/leases/j1', { body: job }))).toBe('url-invalid');
  });

  test('a name that differs only by case, another holder, a held class, too many leases', async () => {
    await take('Hal', 'j1');
    expect(codeOf(await take('hal', 'j1'))).toBe('name-differs-by-case');
    expect(codeOf(await take('Hal', 'j1', { ...job, holder: 'somebody else' }))).toBe('lease-mismatch');
    expect(codeOf(await take('Hal', 'j2', { ...job, class: 'small' }))).toBe('class-held');
    for (let i = 0; i < 64; i += 1) await take('ida', `j${i}`);
    const answer = await take('ida', 'one-more');
    expect([answer.status, codeOf(answer)]).toEqual([429, 'too-many-leases']);
    expect(answer.headers.get('retry-after')).not.toBeNull();
  });
});

describe('renewing and giving back', () => {
  test('a renewal moves the end; one that is out of bounds is refused by the kind', async () => {
    await take('jan', 'j1', { ...job, ttlMs: 10_000 });
    const renewed = await world.ask('POST', '/v1/boxes/jan/leases/j1/renew', { body: { ttlMs: 120_000 } });
    const { expiresAt, now } = RenewReply.parse(renewed.json);
    expect(expiresAt - now).toBe(120_000);
    const tooLong = await world.ask('POST', '/v1/boxes/jan/leases/j1/renew', { body: { ttlMs: 400_000 } });
    expect(codeOf(tooLong)).toBe('ttl-refused');
    await take('jan', 'p1', { ...job, kind: 'pin' });
    const pin = await world.ask('POST', '/v1/boxes/jan/leases/p1/renew', { body: { ttlMs: 400_000 } });
    expect(pin.status).toBe(200);
    expect((await world.ask('POST', '/v1/boxes/jan/leases/j1/renew')).status).toBe(200);
  });

  test('what has ended stays ended, with its reason; what is not known is told so', async () => {
    await take('kim', 'j1');
    const released = await world.ask('DELETE', '/v1/boxes/kim/leases/j1');
    expect([released.status, released.json]).toEqual([200, { released: true }]);
    expect((await world.ask('DELETE', '/v1/boxes/kim/leases/j1')).json).toEqual({ released: false });
    const renewal = await world.ask('POST', '/v1/boxes/kim/leases/j1/renew', { body: {} });
    expect([renewal.status, codeOf(renewal)]).toEqual([410, 'lease-ended']);
    expect(renewal.json).toMatchObject({ reason: 'released' });
    await take('kim', 'p1', { ...job, kind: 'pin', ttlMs: 3_600_000 });
    await world.ask('DELETE', '/v1/boxes/kim/leases/p1');
    const pin = await world.ask('POST', '/v1/boxes/kim/leases/p1/renew', { body: { ttlMs: 3_600_000 } });
    expect([pin.status, codeOf(pin)]).toEqual([410, 'lease-ended']);
    for (const [method, path] of [
      ['POST', '/v1/boxes/kim/leases/never/renew'],
      ['DELETE', '/v1/boxes/kim/leases/never'],
      ['POST', '/v1/boxes/nobody/leases/j1/renew'],
    ] as const) {
      const answer = await world.ask(method, path);
      expect([answer.status, codeOf(answer)]).toEqual([404, 'lease-unknown']);
    }
  });
});
