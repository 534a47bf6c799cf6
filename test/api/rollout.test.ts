import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { boxNameOf, InstallationId, networkNameOf, UserName } from '#shared/identity.ts';
import { RolloutPause } from '#shared/operator-schemas.ts';
import { PullsAsked, RolloutView } from '#shared/rollout.ts';
import { specOf } from '../../controller/src/box/spec.ts';
import { sessionOf } from '../contract/box-store-world.ts';
import { type ApiWorld, createApiWorld, testClasses } from './api-world.ts';

const installation = InstallationId.parse('test');
const imageId = 'sha256:new';

let world: ApiWorld;
beforeAll(async () => {
  world = await createApiWorld();
  world.runtime.engine.networks.add(networkNameOf(installation));
  world.runtime.engine.images.set('spoonbox/default:latest', imageId);
  world.runtime.engine.images.set('of before', 'sha256:old');
});
beforeEach(() => world.runtime.engine.containers.clear());
afterAll(() => world.close());

const job = { kind: 'job', holder: 'agent-7', ttlMs: 60_000 };
const lease = (user: string) => world.ask('PUT', `/v1/boxes/${user}/leases/j1`, { body: job });
const view = async () => RolloutView.parse((await world.ask('GET', '/v1/rollout')).json);
const classOf = async (name: string) => (await view()).classes.find((one) => one.class === name);

/** A box of ours on the engine, made from this image; answers its container's id. */
function box(user: string, image: string): string {
  const boxClass = testClasses.get('default');
  if (boxClass === undefined) throw new Error('there is no default class');
  const name = UserName.parse(user);
  const network = networkNameOf(installation);
  const spec = specOf({ user: name, boxClass, imageId: image, homesDir: '/homes', network });
  const labels = { installation, role: 'box', user, generation: 1 };
  const { engine } = world.runtime;
  const { id } = engine.create('test', { name: boxNameOf(name), ...labels, imageId: image, spec });
  engine.start('test', id);
  return id;
}

test('tells of each class its image, and which boxes are as they would be made now', async () => {
  box('ann', imageId);
  box('bea', 'sha256:old');
  expect(await classOf('default')).toEqual({
    ...{ class: 'default', image: 'spoonbox/default:latest', imageId, pullPolicy: 'IfNotPresent' },
    ...{ upToDate: 1, waiting: [{ user: 'bea', fields: ['imageId'], heldBy: [] }], replacing: [] },
  });
  expect(await classOf('small')).toMatchObject({ imageId: null, upToDate: 0, waiting: [] });
});

test('tells who holds a box of before, and that it is being replaced once it is', async () => {
  const id = box('cid', 'sha256:old');
  await lease('cid');
  expect((await classOf('default'))?.waiting).toEqual([
    { user: 'cid', fields: ['imageId'], heldBy: ['job lease of agent-7'] },
  ]);
  await world.commit('cid', { phase: 'reaping', containerId: id });
  expect(await classOf('default')).toMatchObject({ waiting: [], replacing: ['cid'] });
});

test('tells of a terminal that holds a box without a lease: of one whose gateway died', async () => {
  const id = box('eve', 'sha256:old');
  await lease('eve');
  const session = { ...sessionOf(UserName.parse('eve'), { containerId: id }), detachedAt: 0 };
  await world.store.claimSession(session, false, '');
  expect((await classOf('default'))?.waiting).toMatchObject([{ heldBy: ['job lease of agent-7'] }]);
  await world.ask('DELETE', '/v1/boxes/eve/leases/j1');
  expect((await classOf('default'))?.waiting).toMatchObject([{ heldBy: ['1 terminal whose user may come back'] }]);
});

test('a box is not told as of before because its image is not there any more', async () => {
  box('dan', 'sha256:old');
  world.runtime.engine.images.delete('spoonbox/default:latest');
  world.runtime.forgetImages();
  expect(await classOf('default')).toMatchObject({ imageId: null, upToDate: 1, waiting: [] });
  world.runtime.engine.images.set('spoonbox/default:latest', imageId);
});

test('tells the mode of the reconciler, which holds up rollouts too', async () => {
  expect((await view()).mode.mode).toBe('run');
  await world.ask('PUT', '/v1/reconciler/mode', { body: { mode: 'drain', reason: 'a new disk' } });
  expect((await view()).mode).toMatchObject({ mode: 'drain', reason: 'a new disk' });
  await world.ask('PUT', '/v1/reconciler/mode', { body: { mode: 'run' } });
});

test('is paused and goes on, with who and why', async () => {
  const answer = await world.ask('PUT', '/v1/rollout/pause', { body: { paused: true, reason: 'a release' } });
  expect(RolloutPause.parse(answer.json)).toMatchObject({ paused: true, reason: 'a release', by: 'internal token' });
  expect((await view()).pause).toEqual(answer.json);
  await world.ask('PUT', '/v1/rollout/pause', { body: { paused: false } });
  expect((await view()).pause).toMatchObject({ paused: false, reason: '' });
});

test('a round of pulls is asked for once, and is the leader’s to begin', async () => {
  expect((await view()).pulls).toBeNull();
  const { askedAt } = PullsAsked.parse((await world.ask('POST', '/v1/rollout/pulls')).json);
  expect((await world.ask('POST', '/v1/rollout/pulls')).json).toEqual({ askedAt });
  expect((await view()).pulls).toEqual({ askedAt, by: 'internal token', ended: false, images: [] });
  expect(world.runtime.calls.pull).toBe(0);
});
