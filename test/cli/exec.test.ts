import { createServer } from 'node:http';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { channel, exitStatus, failureStatus } from '#shared/exec-protocol.ts';
import { checkoutIn } from '../../controller/cli/checkout-options.ts';
import { type ApiWorld, createApiWorld, token } from '../api/api-world.ts';
import { type CliRun, runCli } from './cli-run.ts';

/** How `spoonbox exec` reads its arguments and what it makes of the gateway's words; with boxes it is in test/e2e. */
let world: ApiWorld;
const asked: URLSearchParams[] = [];
/** what the gateway of the test does with the next command */
let answer: 'echo the words' | 'lose the connection' | 'say why not' | 'refuse' = 'echo the words';

const http = createServer();
const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'v5.channel.k8s.io' });
http.on('upgrade', (request, socket, head) => {
  const url = new URL(request.url ?? '', 'http://gateway');
  asked.push(url.searchParams);
  if (answer === 'refuse' || url.pathname !== '/v1/exec') {
    const body =
      '{"type":"t","code":"too-many-jobs","title":"t","status":429,"detail":"alice has 16 commands running here"}';
    socket.end(`HTTP/1.1 429 Too Many Requests\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    return;
  }
  sockets.handleUpgrade(request, socket, head, (client) => {
    const say = (to: number, text: string): void => client.send(Buffer.concat([Buffer.of(to), Buffer.from(text)]));
    if (answer === 'lose the connection') {
      say(channel.stdout, 'half');
      setTimeout(() => client.terminate(), 100);
      return;
    }
    say(channel.stdout, url.searchParams.getAll('command').join('|'));
    say(
      channel.status,
      JSON.stringify(answer === 'say why not' ? failureStatus('reaped', 'an operator did it') : exitStatus(4)),
    );
    client.close(1000);
  });
});

beforeAll(async () => {
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const address = http.address();
  if (typeof address !== 'object' || address === null) throw new Error('the server has no port');
  world = await createApiWorld({ gatewayPort: address.port });
});
afterAll(async () => {
  await world.close();
  http.close();
});

async function exec(...args: string[]): Promise<CliRun> {
  return await runCli(['exec', ...args], { server: world.url, token });
}

test('everything after the user is the command, as it is', async () => {
  answer = 'echo the words';
  for (const args of [
    ['alice', 'ls', '-la', '--', 'x'],
    ['alice', '--', 'ls', '-la', '--', 'x'],
    ['--server', world.url, '--directory', 'Code', 'alice', 'ls', '-la', '--', 'x'],
    ['alice', '--directory=Code', '--', 'ls', '-la', '--', 'x'],
    ['alice', '--directory', 'Code', '--', 'ls', '-la', '--', 'x'],
  ]) {
    expect(await exec(...args)).toEqual({ code: 4, out: 'ls|-la|--|x', err: '' });
    expect(asked.at(-1)?.get('directory')).toBe(args.join(' ').includes('Code') ? 'Code' : null);
    expect(asked.at(-1)?.get('stdin')).toBe('true');
  }
  await exec('-n', 'alice', 'ls');
  expect(asked.at(-1)?.get('stdin')).toBe('false');
});

test('the checkout is named to the gateway, or the lease that has it', async () => {
  answer = 'echo the words';
  await exec('--spoon', 'my shop', '--branch=-x', 'alice', 'ls');
  const first = Object.fromEntries(asked.at(-1) ?? []);
  expect(first).toEqual({ user: 'alice', command: 'ls', stdin: 'true', spoon: 'my shop', branch: '-x' });
  const clone = ['--clone', 'https://h/x', '--ref', 'v1', '--depth', '0', '--credential', 'TOKEN'];
  await exec('--spoon', 's', '--branch', 'b', ...clone, '--lease', 'j1', 'alice', 'ls');
  expect(Object.fromEntries(asked.at(-1) ?? [])).toMatchObject({
    ...{ spoon: 's', branch: 'b', clone: 'https://h/x', ref: 'v1', depth: '0', credential: 'TOKEN', lease: 'j1' },
  });
});

test.each([
  [{ spoon: 's', branch: '../x' }, /^--branch must not contain "\.\."/],
  [{ spoon: 's' }, /^a checkout is named by both --spoon and --branch/],
  [{ spoon: 's', branch: 'b', ref: 'x' }, /^--ref, --depth and --credential are of a --clone/],
  [{ spoon: 's', branch: 'b', clone: '/tmp' }, /^--clone is an address of https/],
  [{ spoon: 's', branch: 'b', clone: 'https://h/x', depth: 'all' }, /^--depth all is no whole number/],
])('the checkout %j is wrong use, and says what', (options, why) => {
  expect(() => checkoutIn('exec', options)).toThrow(why);
});

test('an option for help is the command’s where the command is', async () => {
  answer = 'echo the words';
  for (const command of [
    ['du', '-h'],
    ['grep', '--help', '--', '-h'],
  ]) {
    expect(await exec('alice', ...command)).toEqual({ code: 4, out: command.join('|'), err: '' });
  }
  const late = await runCli(['run', '--wait', '0s', 'alice', 'du', '-h'], { server: world.url, token });
  expect(late).toMatchObject({ code: 75, out: '' });
  for (const args of [['-h'], ['alice', '--help'], ['alice', '-h', '--', 'ls'], ['--help', 'alice', 'ls']]) {
    const help = await exec(...args);
    expect([args, help.code, help.err]).toEqual([args, 0, '']);
    expect(help.out).toContain('Usage: spoonbox exec');
  }
});

test('wrong use is one line with the way to the help', async () => {
  for (const args of [[], ['alice'], ['alice', '--'], ['alice', '-x', 'ls'], ['--what', 'alice', 'ls']]) {
    const { code, out, err } = await exec(...args);
    expect([args, code, out]).toEqual([args, 2, '']);
    expect(err).toContain('spoonbox exec --help');
  }
});

test('a command without an exit code is 255 and one line that says why', async () => {
  answer = 'say why not';
  expect(await exec('alice', 'ls')).toEqual({ code: 255, out: 'ls', err: 'spoonbox: an operator did it\n' });
  answer = 'lose the connection';
  const lost = await exec('alice', 'ls');
  expect(lost).toMatchObject({ code: 255, out: 'half' });
  expect(lost.err).toContain('the connection to the gateway was lost');
});

test('more words than an address holds are refused as that, not as a gateway that is away', async () => {
  // What this server takes, and what any gateway takes.
  for (const chars of [17_000, 140_000]) {
    const { code, err } = await exec('alice', 'echo', 'x'.repeat(chars / 2), 'x'.repeat(chars / 2));
    expect([code, err]).toEqual([1, expect.stringContaining('more or longer arguments')]);
  }
});

test('a refusal is told in the gateway’s words', async () => {
  answer = 'refuse';
  const refused = await exec('alice', 'ls');
  expect(refused).toMatchObject({ code: 1, out: '' });
  expect(refused.err).toContain('alice has 16 commands running here');
});
