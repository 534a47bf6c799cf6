import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BoxList, BoxView, ClassList, EventList, TerminalTokenReply } from '#shared/api-schemas.ts';
import { LeaseId, UserName } from '#shared/identity.ts';
import { Session } from '#shared/lease.ts';
import { Problem } from '#shared/problem.ts';
import { verifyTerminalToken } from '#shared/terminal-token.ts';
import { type ApiWorld, createApiWorld, secret, token } from './api-world.ts';

let world: ApiWorld;
beforeAll(async () => {
  world = await createApiWorld();
});
afterAll(() => world.close());

const named = { kind: 'job', holder: 'agent-7' } as const;
const job = { kind: 'job', holder: 'agent-7', ttlMs: 60_000 };
const lease = (user: string, id = 'j1', body: object = job) =>
  world.ask('PUT', `/v1/boxes/${user}/leases/${id}`, { body });
const view = async (user: string) => BoxView.parse((await world.ask('GET', `/v1/boxes/${user}`)).json);
const codeOf = (answer: { json: unknown }) => Problem.parse(answer.json).code;

describe('the token', () => {
  test.each([
    ['none', { authorization: '' }, 'token-missing'],
    ['another scheme', { authorization: `Basic ${token}` }, 'token-missing'],
    ['a wrong one', { authorization: 'Bearer wrong' }, 'token-wrong'],
    ['a prefix of the right one', { authorization: `Bearer ${token.slice(0, -1)}` }, 'token-wrong'],
  ])('%s is refused on every route, also on unknown ones', async (_what, headers, code) => {
    for (const path of ['/v1/boxes', '/v1/boxes/ann', '/v1/classes', '/nothing']) {
      const answer = await world.ask('GET', path, { headers });
      expect([answer.status, codeOf(answer)]).toEqual([401, code]);
      expect(answer.headers.get('www-authenticate')).toContain('Bearer');
    }
  });

  test('health needs none', async () => {
    expect((await world.ask('GET', '/healthz', { headers: { authorization: '' } })).status).toBe(200);
    const ready = await world.ask('GET', '/readyz', { headers: { authorization: '' } });
    expect(ready.json).toEqual({ ok: true, leader: { leads: true, holder: 'test' }, warnings: [] });
  });

  test('never gets into the log, nor does a query', async () => {
    await world.ask('GET', '/v1/boxes?token=query-secret');
    await world.ask('GET', '/v1/boxes', { headers: { authorization: 'Bearer header-secret' } });
    const log = world.logged.join('');
    expect(log).toContain('"path":"/v1/boxes"');
    expect(log).not.toMatch(/query-secret|header-secret/);
    expect(log).not.toContain(token);
  });
});

test('/readyz tells why it is not', async () => {
  world.health.ok = false;
  world.health.reasons = ['the container engine does not answer'];
  const answer = await world.ask('GET', '/readyz');
  world.health.ok = true;
  expect([answer.status, codeOf(answer)]).toEqual([503, 'not-ready']);
  expect(answer.json).toMatchObject({ reasons: ['the container engine does not answer'] });
});

describe('looking at boxes', () => {
  test('shows neither what lets somebody back into a terminal nor traces', async () => {
    const user = UserName.parse('tess');
    const trace = '00-11111111111111111111111111111111-2222222222222222-01';
    for (const id of ['j1', 'j2']) {
      await world.store.take({ user, id: LeaseId.parse(id), ...named, ttlMs: 60_000, class: null, trace });
    }
    await world.store.release(user, LeaseId.parse('j2'), 'test');
    const shell = { gateway: 'g1', containerId: 'c1', execId: 'e1', mode: 'rw', startedAt: 1, persist: 'tmux' };
    const tickets = [{ hash: 'hash-of-a-ticket', mode: 'rw', name: 'n' }];
    await world.store.claimSession(Session.parse({ id: 's', user, ...shell, tickets }), true, '');
    expect((await world.store.read(user)).sessions[0]?.tickets).toEqual(tickets);
    const { text } = await world.ask('GET', '/v1/boxes/tess');
    expect(BoxView.parse(JSON.parse(text))).toMatchObject({
      ...{ leases: [{ id: 'j1' }], endedLeases: [{ id: 'j2' }], sessions: [{ id: 's' }] },
    });
    expect(text).not.toMatch(/ticket|11111111/);
    expect((await world.ask('GET', '/v1/boxes')).text).not.toMatch(/ticket|11111111/);
  });

  test('a user of whom nothing is known is a 404, and looking does not make them known', async () => {
    for (const path of ['/v1/boxes/nobody', '/v1/boxes/nobody/events']) {
      const answer = await world.ask('GET', path);
      expect([answer.status, codeOf(answer)]).toEqual([404, 'box-unknown']);
    }
    const { items } = BoxList.parse((await world.ask('GET', '/v1/boxes')).json);
    expect(items.map(({ user }) => user)).not.toContain('nobody');
  });

  test('tells everything, and moves no deadline', async () => {
    await lease('ann');
    await world.commit('ann', { phase: 'ready', step: 'active', containerId: 'c1', message: 'ready', readyAt: 5 });
    const first = await view('ann');
    expect(first).toMatchObject({ phase: 'ready', ready: true, containerId: 'c1', class: 'default', readyAt: 5 });
    expect(first.until).toBe((first.leases[0]?.expiresAt ?? 0) + 1_800_000);
    expect(first.why[0]).toMatch(/^held by job lease j1 of agent-7 until .* UTC \(in 1 min\), then kept 30 min$/);
    await world.ask('DELETE', '/v1/boxes/ann/leases/j1');
    const released = await view('ann');
    await new Promise((resolve) => setTimeout(resolve, 30));
    await world.ask('GET', '/v1/boxes/ann/events');
    const later = await view('ann');
    expect(later.until).toBe(released.until);
    expect(later.why[0]).toMatch(/^kept by recent activity \(lease-released\) until/);
    expect(later.endedLeases).toMatchObject([{ id: 'j1', endReason: 'released' }]);
    expect(later.leases).toEqual([]);
  });

  test('the list has all of them, by name', async () => {
    await lease('zoe');
    await lease('bob');
    const { items } = BoxList.parse((await world.ask('GET', '/v1/boxes')).json);
    const users: string[] = items.map(({ user }) => user);
    expect(users).toEqual([...users].sort());
    expect(users).toEqual(expect.arrayContaining(['bob', 'zoe']));
  });

  test('events come newest first, as many as asked for', async () => {
    await lease('cy', 'j1');
    await world.ask('DELETE', '/v1/boxes/cy/leases/j1');
    const { items } = EventList.parse((await world.ask('GET', '/v1/boxes/cy/events')).json);
    expect(items.map(({ reason }) => reason)).toEqual(['LeaseEnded', 'LeaseTaken']);
    const one = EventList.parse((await world.ask('GET', '/v1/boxes/cy/events?limit=1')).json);
    expect(one.items).toHaveLength(1);
    for (const query of ['limit=201', 'limit=x', 'count=3', 'watch=0']) {
      expect((await world.ask('GET', `/v1/boxes/cy/events?${query}`)).status).toBe(400);
    }
  });

  test('classes have hashes', async () => {
    const { items } = ClassList.parse((await world.ask('GET', '/v1/classes')).json);
    expect(items.map(({ name }) => name)).toEqual(['default', 'small']);
    expect(new Set(items.map(({ hash }) => hash)).size).toBe(2);
    expect(items[1]?.idle).toEqual({ detachedMs: 60_000, attachedMs: 3_600_000 });
  });
});

describe('wishes', () => {
  const act = (user: string, body: unknown) => world.ask('POST', `/v1/boxes/${user}/actions`, { body });

  test('a reap ends the leases with the reason', async () => {
    await lease('dan');
    await world.commit('dan', { phase: 'ready', step: 'active', containerId: 'c1' });
    const answer = await act('dan', { action: 'reap' });
    expect(answer.status).toBe(202);
    const box = BoxView.parse(answer.json);
    expect(box).toMatchObject({ leases: [], endedLeases: [{ id: 'j1', endReason: 'reaped' }], ready: false });
    expect(box.why[0]).toMatch(/operator asked for it to be reaped; only the home survives/);
  });

  test('recreate and adopt are written as desired state', async () => {
    await lease('eli');
    await act('eli', { action: 'recreate', now: true });
    const id = 'abcdef012345';
    expect((await act('eli', { action: 'adopt', containerId: id, now: true })).status).toBe(202);
    const { desired } = await view('eli');
    expect(desired).toMatchObject({ adoptContainerId: id, adoptAtOnce: true });
    expect(desired?.recreateGeneration).toBeGreaterThan(0);
  });

  test.each([
    [{ action: 'explode' }],
    [{}],
    [{ action: 'adopt' }],
    [{ action: 'adopt', containerId: 'spoon-box-eli' }],
    [{ action: 'reap', now: false }],
    [{ action: 'reap', force: true }],
    ['reap'],
  ])('%j is refused', async (body) => {
    await lease('eli');
    const answer = await act('eli', body);
    expect([answer.status, codeOf(answer)]).toEqual([400, 'request-invalid']);
  });

  test('a delete is accepted, and the user is unknown once the container is gone', async () => {
    await lease('fin');
    await world.commit('fin', { phase: 'ready', containerId: 'c1' });
    const answer = await world.ask('DELETE', '/v1/boxes/fin');
    expect(answer.status).toBe(202);
    expect(BoxView.parse(answer.json).desired?.deletedAt).not.toBeNull();
    await world.forget('fin');
    expect((await world.ask('GET', '/v1/boxes/fin')).status).toBe(404);
    const { items } = EventList.parse((await world.ask('GET', '/v1/boxes/fin/events')).json);
    expect(items[0]?.reason).toBe('Forgotten');
  });

  test('nothing can be wished for a user of whom nothing is known', async () => {
    expect(codeOf(await act('nobody', { action: 'reap' }))).toBe('box-unknown');
    expect(codeOf(await act('nobody', { action: 'recreate' }))).toBe('box-unknown');
    expect(codeOf(await world.ask('DELETE', '/v1/boxes/nobody'))).toBe('box-unknown');
    await lease('Gus');
    expect(codeOf(await act('gus', { action: 'adopt', containerId: 'abcdef012345' }))).toBe('name-differs-by-case');
  });
});

describe('terminal tokens', () => {
  const ask = (body?: unknown) =>
    world.ask('POST', '/v1/boxes/ann/terminal-tokens', body === undefined ? {} : { body });

  test('are made for the one user, with the address to open', async () => {
    const answer = await ask({ mode: 'ro', directory: 'src', session: 's-1', ttlMs: 5_000 });
    expect(answer.headers.get('cache-control')).toBe('no-store');
    const reply = TerminalTokenReply.parse(answer.json);
    expect(reply).toMatchObject({ url: 'ws://127.0.0.1:3921/v1/terminal?session=s-1', session: 's-1' });
    expect(reply.expiresAt - Date.now()).toBeLessThanOrEqual(5_000);
    const verified = await verifyTerminalToken(secret, reply.token);
    expect(verified).toMatchObject({ ok: true, claims: { user: 'ann', mode: 'ro', directory: 'src', session: 's-1' } });
  });

  test('name the checkout in which the shell starts', async () => {
    const checkout = { spoon: 'my shop', branch: 'fix/tax', clone: { url: 'https://git.example.org/shop.git' } };
    const { token } = TerminalTokenReply.parse((await ask({ checkout })).json);
    expect(await verifyTerminalToken(secret, token)).toMatchObject({ ok: true, claims: checkout });
  });

  test('need no body', async () => {
    const reply = TerminalTokenReply.parse((await ask()).json);
    const verified = await verifyTerminalToken(secret, reply.token);
    expect(verified).toMatchObject({ ok: true, claims: { mode: 'rw', session: reply.session } });
  });

  test.each([
    [{ mode: 'root' }],
    [{ ttlMs: 60_001 }],
    [{ ttlMs: 0 }],
    [{ directory: '../../etc' }],
    [{ directory: '/etc' }],
    [{ directory: 'a\u0000b' }],
    [{ session: 'a b' }],
    [{ checkout: { spoon: 'a', branch: '../b' } }],
    [{ checkout: { spoon: 'a' } }],
    [{ user: 'root' }],
    [[]],
    [null],
  ])('%j is refused', async (body) => {
    const answer = await world.ask('POST', '/v1/boxes/ann/terminal-tokens', { raw: JSON.stringify(body) });
    expect(answer.status).toBe(400);
  });
});

test('routes and methods that do not exist are a 404 with a code', async () => {
  for (const [method, path] of [
    ['GET', '/v1'],
    ['POST', '/v1/boxes'],
    ['PATCH', '/v1/boxes/ann'],
    ['GET', '/v1/boxes/ann/leases/j1'],
    ['OPTIONS', '/v1/boxes'],
  ] as const) {
    const answer = await world.ask(method, path);
    expect([answer.status, codeOf(answer)]).toEqual([404, 'route-unknown']);
  }
});

test('neither the tickets of a session nor the trace of a lease is told, wherever a box is', async () => {
  const eve = UserName.parse('eve');
  const trace = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
  for (const id of ['kept', 'ended']) {
    const taken = { user: eve, id: LeaseId.parse(id), kind: 'job', holder: 'agent-7', ttlMs: 60_000 } as const;
    await world.store.take({ ...taken, class: null, trace });
  }
  await world.store.release(eve, LeaseId.parse('ended'), 'test');
  const run = { gateway: 'g1', containerId: 'c1', execId: 'e1', mode: 'rw', startedAt: 1, persist: 'tmux' };
  const tickets = [{ hash: 'hash-of-a-ticket', mode: 'rw', name: 'eve' }];
  await world.store.claimSession(Session.parse({ id: 's', user: eve, ...run, tickets }), true, 'a terminal');
  const stored = await world.store.read(eve);
  expect([stored.sessions[0]?.tickets, stored.leases[0]?.trace, stored.ended[0]?.trace]).toEqual([
    tickets,
    trace,
    trace,
  ]);

  const told = await view('eve');
  expect([told.sessions, told.leases, told.endedLeases].map(({ length }) => length)).toEqual([1, 1, 1]);
  for (const path of ['/v1/boxes', '/v1/boxes/eve']) {
    const { text } = await world.ask('GET', path);
    expect(text).not.toContain('hash-of-a-ticket');
    expect(text).not.toContain(trace);
  }
});
