import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BoxView, LeaseReply, TerminalTokenReply } from '#shared/api-schemas.ts';
import { commands } from '../../controller/cli/commands.ts';
import { type ApiWorld, createApiWorld, token, until } from '../api/api-world.ts';
import { freePort } from '../support/redis.ts';
import { type CliRun, runCli, startCli } from './cli-run.ts';

let world: ApiWorld;
const run = (...args: string[]): Promise<CliRun> => runCli(args, { server: world.url, token });
const job = { kind: 'job', holder: 'agent-7', ttlMs: 60_000 };

beforeAll(async () => {
  world = await createApiWorld();
  await world.ask('PUT', '/v1/boxes/alice/leases/j1', { body: job });
  await world.commit('alice', {
    phase: 'ready',
    step: 'active',
    containerId: 'c'.repeat(64),
    message: 'ready',
    readyAt: Date.now(),
    conditions: [{ type: 'Ready', status: 'True', reason: 'Active', message: 'all is well', since: Date.now() }],
  });
});
afterAll(() => world.close());

describe('get', () => {
  test('boxes are an aligned table', async () => {
    const { code, out } = await run('get', 'boxes');
    expect(code).toBe(0);
    const [header, row] = out.trimEnd().split('\n');
    expect(header).toMatch(/^USER +PHASE +STEP +LEASES +UNTIL +MESSAGE$/);
    expect(row).toMatch(/^alice +ready +active +1 job +in 3\d min +ready$/);
    expect(header?.indexOf('PHASE')).toBe(row?.indexOf('ready'));
  });

  test('wide has more columns, json is what the API answers, and there is no colour in a pipe', async () => {
    const wide = await run('get', 'boxes', '-o', 'wide');
    expect(wide.out).toMatch(/CONTAINER.*WHY/);
    expect(wide.out).toMatch(/cccccccccccc .*held by job lease j1/);
    const json = await run('get', 'box', 'alice', '-o', 'json');
    expect(BoxView.parse(JSON.parse(json.out)).user).toBe('alice');
    expect(JSON.parse((await run('get', 'boxes', '-o', 'json')).out)).toMatchObject({ items: [{ user: 'alice' }] });
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
    expect(wide.out).not.toMatch(/\u001b/);
  });

  test('-w goes on with changes until it is ended', async () => {
    const watch = startCli(['get', 'boxes', '-w'], { server: world.url, token });
    await until(() => watch.out().includes('alice'), 'the table');
    await world.ask('PUT', '/v1/boxes/bob/leases/j1', { body: job });
    await world.commit('bob', { phase: 'provisioning', step: 'creating', message: 'the container is made' });
    await until(() => /bob +provisioning +creating/.test(watch.out()), 'the change');
    watch.child.kill('SIGINT');
    expect((await watch.ended).code).toBe(130);
  });
});

test('describe tells everything, and that only the home survives', async () => {
  const { code, out } = await run('describe', 'box', 'alice');
  expect(code).toBe(0);
  for (const part of [
    /^Box: +alice$/m,
    /^Phase: +ready \(active\)$/m,
    /^Kept until: +.* UTC \(in 3\d min/m,
    /^Why:\n {2}held by job lease j1 of agent-7/m,
    /^ {2}Ready +True +Active +.*all is well$/m,
    /^ {2}j1 +job +agent-7/m,
    /LeaseTaken +job lease taken by agent-7/,
    /^Only the home survives/m,
  ]) {
    expect(out).toMatch(part);
  }
});

test('describe says what a condition that is not fine means, and what to do', async () => {
  await world.ask('PUT', '/v1/boxes/erin/leases/j1', { body: job });
  const about = { message: 'no such host', since: 1 };
  await world.commit('erin', {
    phase: 'failed',
    conditions: [
      { type: 'ImageReady', status: 'False', reason: 'PullFailed', ...about },
      { type: 'NameTaken', status: 'False', reason: 'NameFree', ...about },
      { type: 'HomeReady', status: 'True', reason: 'HomePresent', ...about },
    ],
  });
  const { out } = await run('describe', 'box', 'erin');
  const [, told = ''] = /^What that means:\n(.*?)\n\n/ms.exec(out) ?? [];
  expect(told).toMatch(/^ {2}ImageReady, PullFailed: +The image could not be pulled.*\n +Check the name of the image/);
  expect(told).not.toMatch(/NameTaken|HomeReady/);
  expect((await run('describe', 'box', 'alice')).out).not.toContain('What that means');
  expect((await run('delete', 'erin')).code).toBe(0);
  await world.forget('erin');
});

describe('leases', () => {
  test('are taken, extended, waited for, and given back', async () => {
    const taken = await run('lease', 'carl', '--id', 'l1', '--holder', 'me', '--ttl', '30s');
    expect([taken.code, taken.out]).toEqual([0, 'l1\n']);
    const late = await run('lease', 'carl', '--id', 'l1', '--holder', 'me', '--ttl', '30s', '--wait', '200ms');
    expect(late.code).toBe(75);
    const waiting = run('lease', 'carl', '--id', 'l1', '--holder', 'me', '--wait', '30s', '-o', 'json');
    await world.commit('carl', { phase: 'ready', containerId: 'c2' });
    const ready = await waiting;
    expect(ready.code).toBe(0);
    expect(LeaseReply.parse(JSON.parse(ready.out)).ready).toBe(true);
    expect((await run('release', 'carl', 'l1')).out).toMatch(/given back/);
    expect((await run('release', 'carl', 'l1')).out).toMatch(/had ended before/);
    expect(await run('release', 'carl', 'never')).toMatchObject({
      code: 1,
      err: expect.stringMatching(/never is not known/),
    });
  });

  test('can ask for a recording of terminals', async () => {
    const { code, out } = await run('lease', 'cleo', '--record', 'input', '-o', 'json');
    expect(code).toBe(0);
    expect(LeaseReply.parse(JSON.parse(out)).box.leases).toMatchObject([{ record: 'input' }]);
    const wrong = await run('lease', 'cleo', '--record', 'all');
    expect(wrong).toMatchObject({ code: 2, err: expect.stringMatching(/--record all is none of output, input/) });
    expect((await run('delete', 'cleo')).code).toBe(0);
    await world.forget('cleo');
  });

  test('a refusal is one line', async () => {
    const { code, err } = await run('lease', 'carl', '--id', 'x', '--ttl', '2h');
    expect(code).toBe(1);
    expect(err).toMatch(/^spoonbox: the lease was refused: ttlMs of a job lease.*\n$/);
  });
});

test('reap waits until the container is gone; recreate and delete are accepted', async () => {
  await world.ask('PUT', '/v1/boxes/dora/leases/j1', { body: job });
  await world.commit('dora', { phase: 'ready', containerId: 'c3' });
  expect((await run('recreate', 'dora')).code).toBe(0);
  const reaping = startCli(['reap', 'dora', '--wait'], { server: world.url, token });
  await until(
    async () =>
      (await world.store.read((await world.store.users()).find((user) => user === 'dora') ?? never())).leases.length ===
      0,
    'the leases are ended',
  );
  await new Promise((resolve) => setTimeout(resolve, 700));
  expect(reaping.child.exitCode).toBe(null);
  await world.commit('dora', { phase: 'absent', lastReap: { cause: 'reap', at: Date.now(), message: '' } });
  const { code, out } = await reaping.ended;
  expect([code, out]).toEqual([0, 'the box of dora is gone; only the home survives\n']);
  expect((await run('delete', 'dora')).code).toBe(0);
  expect((await run('reap', 'nobody')).err).toMatch(/nothing is known of nobody/);
});

function never(): never {
  throw new Error('dora is not known');
}

test('token has three forms', async () => {
  const plain = await run('token', 'alice');
  expect(plain.out.split('.')).toHaveLength(3);
  expect((await run('token', 'alice', '-o', 'url')).out).toMatch(
    /^ws:\/\/127\.0\.0\.1:3921\/v1\/terminal\?session=[\w-]+&token=\S+\n$/,
  );
  const json = await run('token', 'alice', '-o', 'json', '--ro', '--session', 's1', '--ttl', '10s');
  expect(TerminalTokenReply.parse(JSON.parse(json.out)).session).toBe('s1');
});

describe('tokens of the API', () => {
  test('are made, listed without their secret, used, and revoked', async () => {
    const made = await run('api-token', 'create', '--name', 'graph ana', '--role', 'viewer', '--ttl', '2d');
    expect([made.code, made.out]).toEqual([0, expect.stringMatching(/^sbx_[a-z0-9]{12}_[\w-]{43}\n$/)]);
    const secret = made.out.trim();
    const id = secret.slice(4, 16);
    const asViewer = { server: world.url, token: secret };
    const refused = await runCli(['lease', 'alice'], asViewer);
    expect([refused.code, refused.err]).toEqual([
      77,
      expect.stringMatching(/needs the role jobs, and graph ana is viewer/),
    ]);
    const { out } = await run('api-token', 'list');
    expect(out).toMatch(new RegExp(`^${id} +graph ana +viewer +\\S.* +in [12] d .*\\S`, 'm'));
    expect(out).not.toContain(secret.slice(17));
    expect((await run('api-token', 'revoke', id)).out).toBe(`token ${id} is revoked\n`);
    expect((await runCli(['get', 'boxes'], asViewer)).err).toMatch(/its token is wrong, or was revoked/);
  });

  test('a link to the console is printed alone, so that it can be piped', async () => {
    const plain = await run('console');
    expect([plain.code, plain.out]).toEqual([
      0,
      expect.stringMatching(/^http:\/\/127\.0\.0\.1:3922\/console\/#login=[\w-]{43}\n$/),
    ]);
    expect((await run('console', '--role', 'root')).err).toMatch(/--role root is none of viewer, jobs, admin/);
    const asViewer = await run('console', '--role', 'viewer');
    expect(asViewer.err).toContain('with the role viewer');
    const code = new URLSearchParams(new URL(asViewer.out).hash.slice(1)).get('login');
    const headers = { 'x-spoonbox-csrf': '1', origin: 'http://127.0.0.1:3922' };
    expect((await world.ask('POST', '/v1/session', { body: { code }, headers })).json).toMatchObject({
      role: 'viewer',
    });
    const opened = await runCli(['console', '--open'], { server: world.url, token, path: '/nowhere' });
    expect([opened.code, opened.err]).toEqual([1, expect.stringMatching(/xdg-open cannot be run/)]);
  });
});

describe('wrong use and faults are one line, with an exit code', () => {
  test.each([
    [['explode'], 2, /no command explode/],
    [['help', 'descrbe'], 2, /no command descrbe, did you mean describe/],
    [['completion', 'tcsh'], 2, /: tcsh is none of bash, zsh, fish/],
    [['adopt', 'alice', 'spoon-box-alice'], 2, /spoon-box-alice is no id of a container/],
    [['get'], 2, /say what to get/],
    [['get', 'pods'], 2, /pods is nothing to get/],
    [['get', 'box'], 2, /USER is missing/],
    [['get', 'boxes', '-o', 'xml'], 2, /xml is none of/],
    [['get', 'boxes', '--color'], 2, /--color/],
    [['describe', 'alice'], 2, /say what to describe: box USER, lease USER LEASE/],
    [['describe', 'lease', 'alice'], 2, /LEASE is missing/],
    [['describe', 'events', 'alice'], 2, /say what to describe/],
    [['lease'], 2, /USER is missing/],
    [['lease', 'alice', '--ttl', 'soon'], 2, /soon is no duration/],
    [['lease', 'alice', '--wait', '30d'], 2, /--wait 30d is too long: 24d at most/],
    [['lease', 'alice', '--kind', 'terminal'], 2, /is none of job, pin/],
    [['release', 'alice'], 2, /LEASE is missing/],
    [['reap'], 2, /USER is missing/],
    [['reap', 'lease/alice/j1'], 2, /lease\/alice\/j1 is no box: write alice or box\/alice/],
    [['release', 'lease/alice', 'j1'], 2, /lease\/alice is no lease: write lease\/USER\/LEASE/],
    [['get', 'box', '..'], 2, /no user name/],
    [['api-token'], 2, /say what to do/],
    [['api-token', 'create', '--name', 'x'], 2, /say --name and --role/],
    [['api-token', 'create', '--name', 'x', '--role', 'root'], 2, /is none of viewer, jobs, admin/],
    [['api-token', 'create', '--name', 'x', '--role', 'jobs', '--ttl', '1s'], 1, /body\.ttlMs/],
    [['api-token', 'revoke'], 2, /ID is missing/],
    [['api-token', 'revoke', 'x'], 1, /a token id is 12/],
    [['get', 'box', 'a/b'], 1, /a user name is 1 to 39/],
    [['get', 'box', 'nobody'], 1, /nothing is known/],
    [['get', 'boxes', '--token', 'wrong'], 77, /token is wrong/],
    [['get', 'boxes', '--server', 'nonsense'], 2, /is no URL/],
  ])('%j', async (args, code, message) => {
    const { code: actual, err, out } = await run(...args);
    expect([actual, out]).toEqual([code, '']);
    expect(err).toMatch(message);
    expect(err.trimEnd().split('\n')).toHaveLength(1);
  });

  test('a server that is not there', async () => {
    const server = `http://127.0.0.1:${await freePort()}`;
    const { code, err } = await runCli(['get', 'boxes'], { server, token });
    expect(code).toBe(69);
    expect(err).toMatch(/cannot be reached \(ECONNREFUSED\).*npm start.*--server/);
  });
});

test('every command has a help with examples', async () => {
  const { out } = await run('--help');
  const [list = ''] = out.split('Options of every command');
  const names = [...list.matchAll(/^ {2}([\w-]+) {3,}\S/gm)].map(([, name = '']) => name);
  expect(names).toEqual(commands.map(({ name }) => name));
  for (const { help } of commands) expect(help).toMatch(/Usage: spoonbox [\w-]+[\s\S]*Examples\n {2}/);
  const help = commands.find(({ name }) => name === 'get')?.help;
  expect(await run('get', 'boxes', '--help')).toEqual({ code: 0, out: `${help}\n`, err: '' });
});

test('the settings are found upward, and environment and flags win over them', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'spoonbox-cli-'));
  await mkdir(join(dir, '.spoonbox'));
  await mkdir(join(dir, 'a/b'), { recursive: true });
  const file = join(dir, '.spoonbox/client.json');
  await writeFile(file, JSON.stringify({ server: world.url, token, gateway: 'ws://127.0.0.1:1' }));
  const cwd = join(dir, 'a/b');
  expect((await runCli(['get', 'boxes'], { cwd })).code).toBe(0);
  const both = { cwd, server: world.url, token: 'wrong' };
  expect((await runCli(['get', 'boxes'], both)).code).toBe(77);
  expect((await runCli(['get', 'boxes', '--token', token], both)).code).toBe(0);
  const other = await runCli(['get', 'boxes', '--server', 'http://127.0.0.1:1'], { cwd });
  expect([other.code, other.err]).toEqual([2, expect.stringMatching(/no token is known for http:\/\/127\.0\.0\.1:1/)]);
  expect((await runCli(['get', 'boxes', '--server', `${world.url}/`], { cwd })).code).toBe(0);
  await writeFile(file, '{"server":');
  expect(await runCli(['get', 'boxes'], { cwd })).toMatchObject({ code: 2, err: expect.stringMatching(/is damaged/) });
  await rm(dir, { recursive: true });
});
