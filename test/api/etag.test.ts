import { afterAll, beforeAll, expect, test } from 'vitest';
import { BoxView } from '#shared/api-schemas.ts';
import { Problem } from '#shared/problem.ts';
import { type ApiWorld, createApiWorld } from './api-world.ts';
import { pathOf, table } from './route-table.ts';

let world: ApiWorld;
beforeAll(async () => {
  world = await createApiWorld();
});
afterAll(() => world.close());

const lease = (user: string, id = 'j1') =>
  world.ask('PUT', `/v1/boxes/${user}/leases/${id}`, { body: { kind: 'job', holder: 'agent-7', ttlMs: 300_000 } });
const tagOf = async (user: string) => (await world.ask('GET', `/v1/boxes/${user}`)).headers.get('etag') ?? '';
const act = (user: string, ifMatch: string) =>
  world.ask('POST', `/v1/boxes/${user}/actions`, { body: { action: 'recreate' }, headers: { 'if-match': ifMatch } });

test('what is not changed is not sent again', async () => {
  await lease('ann');
  await world.commit('ann', { phase: 'ready', containerId: 'c1' });
  const etag = await tagOf('ann');
  for (const known of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
    const answer = await world.ask('GET', '/v1/boxes/ann', { headers: { 'if-none-match': known } });
    expect([answer.status, answer.text, answer.headers.get('etag')]).toEqual([304, '', etag]);
  }
});

test('a change of the status alone is sent, and so is a lease', async () => {
  await lease('bob');
  const first = await tagOf('bob');
  await world.commit('bob', { phase: 'ready', containerId: 'c1' });
  const second = await tagOf('bob');
  expect((await world.ask('GET', '/v1/boxes/bob', { headers: { 'if-none-match': first } })).status).toBe(200);
  await lease('bob', 'j2');
  expect((await world.ask('GET', '/v1/boxes/bob', { headers: { 'if-none-match': second } })).status).toBe(200);
});

test('a wish for what was read is done; what has changed since refuses it, and says what it is now', async () => {
  await lease('cy');
  const read = await tagOf('cy');
  await world.commit('cy', { phase: 'ready', containerId: 'c1' }); // no change of what is desired
  const done = await act('cy', read);
  expect(done.status).toBe(202);
  const { desired } = BoxView.parse(done.json);

  const refused = await act('cy', read);
  expect(refused.status).toBe(412);
  expect(Problem.parse(refused.json)).toMatchObject({ code: 'precondition-failed', generation: desired?.generation });
  expect(BoxView.parse((await world.ask('GET', '/v1/boxes/cy')).json).desired).toEqual(desired);

  const removal = (ifMatch: string) => world.ask('DELETE', '/v1/boxes/cy', { headers: { 'if-match': ifMatch } });
  expect((await removal(read)).status).toBe(412);
  expect((await removal(done.headers.get('etag') ?? '')).status).toBe(202);
});

test('of two who decide by the same reading, one is refused', async () => {
  await lease('dan');
  const read = await tagOf('dan');
  const answers = await Promise.all([act('dan', read), act('dan', read), act('dan', read)]);
  expect(answers.map(({ status }) => status).toSorted()).toEqual([202, 412, 412]);
});

test.each(['x', '""', '"abc"', '"1.a', '"1"; "2"', Array(30).fill('"1"').join()])(
  'If-Match: %s is refused',
  async (tag) => {
    await lease('eve');
    const answer = await act('eve', tag);
    expect([answer.status, Problem.parse(answer.json).code]).toEqual([400, 'request-invalid']);
  },
);

test('If-Match: * asks for a box that is known', async () => {
  await lease('fay');
  expect((await act('fay', '*')).status).toBe(202);
  const adopt = (user: string) =>
    world.ask('POST', `/v1/boxes/${user}/actions`, {
      body: { action: 'adopt', containerId: 'a'.repeat(12) },
      headers: { 'if-match': '*' },
    });
  expect((await adopt('newcomer')).status).toBe(412);
});

test('nothing at all is done for a tag that is of before, or of something else', async () => {
  await lease('alice');
  const before = await world.dump();
  for (const [route, entry] of Object.entries(table).filter(([name]) => !/^(GET|\S+ \/v1\/session$)/.test(name))) {
    const [method = '', url = ''] = route.split(' ');
    const headers = { 'if-match': '"99999999999"' };
    const { status } = await world.ask(method, entry.path ?? pathOf(url), { body: entry.body, headers });
    expect([route, status >= 400 && status < 500]).toEqual([route, true]);
  }
  expect(await world.dump()).toBe(before);
});

test('a pause of rollouts for what was read is set; what was set since refuses it, and says by whom', async () => {
  const { headers } = await world.ask('GET', '/v1/rollout');
  const pause = (paused: boolean, ifMatch: string) =>
    world.ask('PUT', '/v1/rollout/pause', { body: { paused }, headers: { 'if-match': ifMatch } });
  const set = await pause(true, headers.get('etag') ?? '');
  expect(set.json).toMatchObject({ paused: true });
  const late = await pause(false, headers.get('etag') ?? '');
  expect([late.status, Problem.parse(late.json).code]).toEqual([412, 'precondition-failed']);
  expect(Problem.parse(late.json).detail).toMatch(/rollouts are paused, internal token set it at/);
  expect((await world.ask('GET', '/v1/rollout')).headers.get('etag')).toBe(set.headers.get('etag'));
  expect((await pause(false, set.headers.get('etag') ?? '')).json).toMatchObject({ paused: false });
});
