import { afterAll, beforeAll, expect, test } from 'vitest';
import { InstallationId, UserName } from '#shared/identity.ts';
import { VaultHomeView } from '#shared/vault-home-schemas.ts';
import { freshContext, freshVault } from '../../controller/src/box/context.ts';
import { type TestVaults, vaultsOf } from '../support/vault-of.ts';
import { type ApiWorld, createApiWorld } from './api-world.ts';

let world: ApiWorld;
let own: TestVaults;
const alice = UserName.parse('alice');
beforeAll(async () => {
  world = await createApiWorld();
  own = vaultsOf({ redisUrl: world.redis.url, installation: InstallationId.parse('test') });
});
afterAll(async () => {
  await own?.[Symbol.asyncDispose]();
  await world?.close();
});

async function view(user: string): Promise<VaultHomeView> {
  const { status, json } = await world.ask('GET', `/v1/users/${user}/vault/status`);
  expect(status).toBe(200);
  return VaultHomeView.parse(json);
}

test('of a user of whom nothing is known, nothing is known', async () => {
  expect(await view('nobody')).toMatchObject({
    ...{ user: 'nobody', revision: 0, applied: null },
    condition: { status: 'Unknown', reason: 'NotChecked' },
  });
});

test('what the reconciler concluded is told with what was left as the home has it', async () => {
  await own.put(alice, '.bashrc', 'x');
  const applied = { revision: 7, drift: [{ path: '.bashrc', how: 'edited' as const }], at: 1_700_000_000_000 };
  const vault = { ...freshVault, containerId: 'c1', triedRevision: 7, applied };
  const condition = { status: 'False', reason: 'VaultDrift', message: 'left as it is', since: 5 } as const;
  await world.commit('alice', {
    ...{ phase: 'ready', step: 'active', containerId: 'c1' },
    context: { ...freshContext, vault },
    conditions: [{ type: 'VaultApplied', ...condition }],
  });
  expect(await view('alice')).toEqual({
    ...{ user: 'alice', applied, condition },
    revision: await own.vaults.revision(alice),
  });
});

test('a memory that cannot be read is none', async () => {
  await world.commit('bob', { phase: 'ready', containerId: 'c2', context: { odd: true } });
  expect(await view('bob')).toMatchObject({ applied: null });
});

test('the vault’s side of a file is asked for by an admin, told as an event, and refused for what the vault has not', async () => {
  const path = '/v1/users/alice/vault/take';
  const taken = await world.ask('POST', path, { body: { path: '.bashrc' } });
  expect(taken).toMatchObject({ status: 202, json: { revision: await own.vaults.revision(alice) } });
  expect(await own.orders.read(alice)).toMatchObject([{ order: 'take', path: '.bashrc' }]);
  const [event] = await world.store.events(alice, 1);
  expect(event).toMatchObject({ reason: 'VaultChanged', message: expect.stringContaining('.bashrc') });
  const unknown = await world.ask('POST', path, { body: { path: '.none' } });
  expect(unknown).toMatchObject({ status: 404, json: { code: 'vault-entry-unknown' } });
  const odd = await world.ask('POST', path, { body: { path: '../.bashrc' } });
  expect(odd).toMatchObject({ status: 400, json: { code: 'request-invalid' } });
});
