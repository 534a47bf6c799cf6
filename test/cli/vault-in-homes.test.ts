import { createServer } from 'node:http';
import { once } from 'node:events';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { channel, exitStatus } from '#shared/exec-protocol.ts';
import { WhoAmI } from '#shared/operator-schemas.ts';
import { VaultHomeView, VaultTaken } from '#shared/vault-home-schemas.ts';
import { type CliRun, runCli } from './cli-run.ts';
import { type FakeApi, startFakeApi } from './fake-api.ts';

/** What `spoonbox vault status` and `take` ask, and say; with boxes they are in test/e2e. */

let api: FakeApi;
/** what the box of the test says to the next command, and how that ends */
let box: { out: Buffer; code: number };
const commands: string[][] = [];

const gateway = createServer();
const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'v5.channel.k8s.io' });
gateway.on('upgrade', (request, socket, head) => {
  commands.push(new URL(request.url ?? '', 'http://gateway').searchParams.getAll('command'));
  sockets.handleUpgrade(request, socket, head, (client) => {
    client.send(Buffer.concat([Buffer.of(channel.stdout), box.out]));
    client.send(Buffer.concat([Buffer.of(channel.status), Buffer.from(JSON.stringify(exitStatus(box.code)))]));
    client.close(1000);
  });
});

beforeAll(async () => {
  gateway.listen(0, '127.0.0.1');
  await once(gateway, 'listening');
});
afterAll(() => gateway.close());
beforeEach(async () => {
  commands.length = 0;
  api = await startFakeApi();
  const address = gateway.address();
  if (typeof address !== 'object' || address === null) throw new Error('the gateway has no port');
  api.answer('GET /v1/session', WhoAmI, {
    ...{ name: 'test', role: 'admin', by: 'token', expiresAt: null },
    terminalUrl: `ws://127.0.0.1:${address.port}/v1/terminal`,
  });
  for (const route of ['POST /v1/users/alice/vault/take', 'PUT', 'DELETE']) {
    const dotfile = '/v1/users/alice/dotfiles/.config%2Fgit';
    api.answer(route.includes(' ') ? route : `${route} ${dotfile}`, VaultTaken, { revision: 9 });
  }
});

const spoonbox = (...args: string[]): Promise<CliRun> => runCli(['vault', ...args], { server: api.url, token: 't' });
const changes = () => api.asked.filter(({ method }) => method !== 'GET');

function answer(of: Partial<VaultHomeView>): void {
  const condition = { status: 'True', reason: 'VaultApplied', message: 'all is in the home', since: 1 } as const;
  const view = { user: 'alice', revision: 7, applied: { revision: 7, drift: [], at: Date.now() }, condition };
  api.answer('GET /v1/users/alice/vault/status', VaultHomeView, { ...view, ...of });
}

test('status is 0 where the home has what the vault has, and 1 where it has not, or not yet', async () => {
  answer({});
  expect(await spoonbox('status', 'alice')).toMatchObject({ code: 0, out: 'all is in the home\n' });
  answer({ revision: 8 });
  expect((await spoonbox('status', 'alice')).code).toBe(1);
  const drift = [
    { path: '.bashrc', how: 'edited' as const },
    { path: '.netrc', how: 'removed' as const },
  ];
  const condition = { status: 'False', reason: 'VaultDrift', message: 'left as it is', since: 1 } as const;
  answer({ applied: { revision: 7, drift, at: 1 }, condition });
  const shown = await spoonbox('status', 'alice');
  expect(shown.code).toBe(1);
  expect(shown.out).toBe(
    ['left as it is', 'PATH      IN THE HOME', '.bashrc   edited in the box', '.netrc    removed in the box', ''].join(
      '\n',
    ),
  );
  expect(shown.err).toContain('spoonbox vault take alice PATH --from box|vault');
  const json = await spoonbox('status', 'alice', '-o', 'json');
  expect(VaultHomeView.parse(JSON.parse(json.out)).applied?.drift).toEqual(drift);
});

test('take --from vault is one wish', async () => {
  expect(await spoonbox('take', 'alice', '.config/git', '--from', 'vault')).toMatchObject({ code: 0 });
  expect(changes()).toMatchObject([{ path: '/v1/users/alice/vault/take', body: { path: '.config/git' } }]);
});

test('take --from box puts what the box has, bytes and mode, and no more', async () => {
  const content = Buffer.from([0, 255, 10, 13, 10]);
  box = { out: Buffer.concat([Buffer.from('4750\n'), content]), code: 0 };
  expect(await spoonbox('take', 'alice', '.config/git', '--from', 'box')).toMatchObject({ code: 0 });
  expect(commands[0]?.slice(3, 5)).toEqual(['spoonbox-vault', '.config/git']);
  expect(changes()).toMatchObject([
    { method: 'PUT', body: { content: content.toString('base64'), encoding: 'base64', mode: '0750' } },
  ]);
});

test('take --from box removes from the vault what is not in the box, and nothing where the box cannot be asked', async () => {
  box = { out: Buffer.from(''), code: 3 };
  expect((await spoonbox('take', 'alice', '.config/git', '--from', 'box')).out).toContain('removed from the vault');
  expect(changes()).toMatchObject([{ method: 'DELETE' }]);
  for (const failed of [
    { out: Buffer.from(''), code: 1 },
    { out: Buffer.concat([Buffer.from('644\n'), Buffer.alloc(262_145)]), code: 0 },
  ]) {
    box = failed;
    expect((await spoonbox('take', 'alice', '.config/git', '--from', 'box')).code).toBe(1);
  }
  expect(changes()).toHaveLength(1);
});

test('wrong use is one line with the way to the help', async () => {
  for (const args of [
    [],
    ['odd'],
    ['status'],
    ['take', 'alice'],
    ['take', 'alice', 'a'],
    ['take', 'alice', 'a', '--from', 'me'],
  ]) {
    const { code, out, err } = await spoonbox(...args);
    expect([args, code, out]).toEqual([args, 2, '']);
    expect(err).toContain('spoonbox vault --help');
  }
});
