import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { environmentLines, environmentOf } from '../../gateway/src/environment.ts';
import type { UserName } from '#shared/identity.ts';
import { keysOf } from '#shared/identity.ts';
import { createLogger } from '#shared/log.ts';
import { connectRedis } from '#shared/redis.ts';
import { createVaultKeys } from '#shared/vault-seal.ts';
import { createVaultStore, type VaultStore } from '#shared/vault-store.ts';
import { alice } from '../support/box-facts.ts';
import { createFakeCommands } from './fake-commands.ts';
import { createFakeExec } from './fake-exec.ts';
import { createGatewayWorld, type GatewayWorld } from './gateway-world.ts';
import { apiToken, bareJob } from './jobs-world.ts';
import { open } from './test-client.ts';

/** The variables of a vault, from Redis to what is asked of the engine. That they arrive is in `environment.docker.test.ts`. */

const exec = createFakeExec();
const commands = createFakeCommands();
let world: GatewayWorld;
let vaults: VaultStore;
let close: () => Promise<void>;

const seal = createVaultKeys({ current: 'the-key-of-the-test-0123456789', previous: [] });
const by = { by: 'test' };

beforeAll(async () => {
  world = await createGatewayWorld(exec);
  const redis = connectRedis(world.redis.url, createLogger({ name: 'test', level: 'silent' }));
  close = () => redis.close();
  vaults = createVaultStore({ redis, keys: keysOf(world.installation), seal });
});
afterAll(async () => {
  await close?.();
  await world?.close();
});

async function readyUser(): Promise<UserName> {
  const user = world.newUser();
  await world.commit(user, { phase: 'ready', containerId: 'c1' });
  return user;
}

/** A sealed text that nobody sealed for this place. */
async function damage(user: UserName, field: string): Promise<void> {
  const bare = new Redis(world.redis.url);
  await bare.hset(keysOf(world.installation).user(user).vault, field, seal.seal(Buffer.from('x'), 'elsewhere'));
  await bare.quit();
}

function serve(of: Pick<VaultStore, 'environment'>, persist: 'none' | 'tmux' = 'none') {
  return world.gateway({ environment: (user) => of.environment(user), persist, jobs: { commands, apiToken } });
}

describe('a terminal', () => {
  it('has the variables that the vault holds when it is started; the next one has what changed', async () => {
    const gateway = await serve(vaults);
    const user = await readyUser();
    for (const value of ['one', 'two']) {
      await vaults.putVariable(user, 'EDITOR', value, by);
      const client = await open({ port: gateway.port, token: await world.token(user, { session: `s${value}` }) });
      await client.message('hello');
      expect(exec.terminals.at(-1)?.start.environment).toEqual({ EDITOR: value });
      client.socket.terminate();
    }
  });

  it('that is gone on with has them too', async () => {
    const gateway = await serve(vaults, 'tmux');
    const user = await readyUser();
    await vaults.putVariable(user, 'EDITOR', 'vim', by);
    const first = await open({ port: gateway.port, token: await world.token(user, { session: 'sResumed' }) });
    await first.message('hello');
    await gateway.drain(5_000);
    exec.resumable.add('sResumed');
    const other = await serve(vaults, 'tmux');
    const before = exec.terminals.length;
    const client = await open({ port: other.port, token: await world.token(user, { session: 'sResumed' }) });
    await client.message('hello');
    expect(exec.terminals.slice(before).map(({ start }) => start.environment)).toEqual([{ EDITOR: 'vim' }]);
    client.socket.terminate();
  });

  it('starts without them where the vault cannot be opened, and is told why; no value is in any log', async () => {
    const otherKey = createVaultKeys({ current: 'another-key-of-the-test-0123456789', previous: [] });
    const redis = connectRedis(world.redis.url, createLogger({ name: 'test', level: 'silent' }));
    const blind = createVaultStore({ redis, keys: keysOf(world.installation), seal: otherKey });
    const gateway = await serve(blind);
    const user = await readyUser();
    await vaults.putVariable(user, 'TOKEN', 'a-secret-value', by);
    const client = await open({ port: gateway.port, token: await world.token(user) });
    const notice = await client.message('notice');
    expect(notice).toMatchObject({ code: 'vault-unreadable', message: expect.stringContaining(seal.keyId) });
    expect(notice).toMatchObject({ message: expect.stringContaining('started without') });
    await client.message('hello');
    expect(exec.terminals.at(-1)?.start.environment).toEqual({});
    client.socket.terminate();
    await redis.close();
    expect(world.logged.join('')).not.toContain('a-secret-value');
    expect(world.logged.join('')).toContain('TOKEN');
  });

  it('without the one variable that cannot be opened, which is named, and with all others', async () => {
    const gateway = await serve(vaults);
    const user = await readyUser();
    await vaults.putVariable(user, 'EDITOR', 'vim', by);
    await damage(user, 'e:TOKEN');
    const client = await open({ port: gateway.port, token: await world.token(user) });
    const message = `the variable TOKEN of ${user} cannot be read: it was changed or moved since it was sealed: put it again, or restore it from a backup; started without it`;
    expect(await client.message('notice')).toMatchObject({ code: 'vault-unreadable', message });
    await client.message('hello');
    expect(exec.terminals.at(-1)?.start.environment).toEqual({ EDITOR: 'vim' });
    client.socket.terminate();
  });
});

describe('a command', () => {
  it('has the variables of the vault', async () => {
    const gateway = await serve(vaults);
    const user = await readyUser();
    await vaults.putVariable(user, 'GIT_TOKEN', 'abc', by);
    const job = await bareJob(gateway.port, user, ['true']);
    await vi.waitFor(() => expect(commands.started.at(-1)?.start).toMatchObject({ environment: { GIT_TOKEN: 'abc' } }));
    job.socket.terminate();
  });

  it.each([
    ['1', /^spoonbox: .*no such vault.*started without/],
    ['0', /^$/],
  ])(
    'runs without them where they cannot be had, and says so on stderr where that is asked for (%s)',
    async (stderr, words) => {
      const gateway = await serve({ environment: () => Promise.reject(new Error('no such vault')) });
      const user = await readyUser();
      const before = commands.started.length;
      const job = await bareJob(gateway.port, user, ['true'], { stdout: '1', stderr });
      await vi.waitFor(() => expect(commands.started.length).toBe(before + 1));
      const command = commands.started[before];
      if (command === undefined) throw new Error('it was not started');
      expect(command.start.environment).toEqual({});
      command.exits(0);
      command.stream.push(null);
      await job.status;
      expect(job.err().trim()).toMatch(words);
    },
  );
});

describe('what reaches the engine', () => {
  it('is the vault’s and the gateway’s own, which a vault does not change', () => {
    const own = { SPOONBOX_SESSION: 's1', TERM: 'xterm-256color' };
    const vault = { EDITOR: 'vim', TERM: 'dumb', TMUX_TMPDIR: '/elsewhere', EMPTY: '', LINES: 'a\nb=c' };
    expect(environmentLines(vault, own)).toEqual([
      'EDITOR=vim',
      'EMPTY=',
      'LINES=a\nb=c',
      'SPOONBOX_SESSION=s1',
      'TERM=xterm-256color',
    ]);
  });

  it('is nothing where it is more than a program can be given', async () => {
    const environment = Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`V${at}`, 'x'.repeat(32_000)]));
    const log = createLogger({ name: 'test', level: 'silent' });
    const told: string[] = [];
    const given = await environmentOf(
      { environment: async () => ({ variables: environment, unreadable: [] }), log },
      alice,
      (why) => void told.push(why),
    );
    expect(given).toEqual({});
    expect(told).toEqual([expect.stringContaining('started without them')]);
  });
});
