import { once } from 'node:events';
import { createServer } from 'node:http';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ApiWorld, createApiWorld, secret, token, until } from '../api/api-world.ts';
import { type CliProcess, type CliWhere, startCli } from './cli-run.ts';
import { createEscapeFilter } from '../../controller/cli/terminal/escape.ts';
import { type FakeGateway, type FakeTerminal, startFakeGateway } from './fake-gateway.ts';

let gateway: FakeGateway;
let world: ApiWorld;
beforeAll(async () => {
  gateway = await startFakeGateway(secret);
  world = await createApiWorld({ gatewayPort: gateway.port });
});
afterAll(async () => {
  await world.close();
  await gateway.close();
});

async function attach(
  options: Pick<CliWhere, 'tty' | 'resizedTo'> & { args?: string[] } = {},
): Promise<{ cli: CliProcess; terminal: FakeTerminal }> {
  const { args: more = [], ...where } = options;
  const cli = startCli(['attach', 'alice', ...more], { server: world.url, token, ...where });
  const terminal = await Promise.race([
    gateway.next(),
    cli.ended.then(({ out, err }) => Promise.reject(new Error(`the CLI ended: ${out}${err}`))),
  ]);
  return { cli, terminal };
}

describe('with pipes', () => {
  test('sends the input once the shell runs, and exits with its code', async () => {
    const { cli, terminal } = await attach({ args: ['--session', 's1', '--ro'] });
    expect(terminal).toMatchObject({ user: 'alice', session: 's1', mode: 'ro' });
    expect(terminal.messages).toEqual([{ type: 'hello', cols: 80, rows: 24 }]);
    cli.child.stdin?.write('exit 3\n');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(terminal.typed()).toBe('');
    terminal.hello();
    await until(() => terminal.typed() === 'exit 3\n', 'the input arrives');
    terminal.output('bye — ✓\r\n');
    terminal.exit(3);
    expect(await cli.ended).toMatchObject({ code: 3, out: 'bye — ✓\r\n', err: '' });
  });

  test('asks for the checkout that is named, and for none where the name is half', async () => {
    const args = ['--spoon', 'my shop', '--branch', 'fix/tax', '--clone', 'https://h/x', '--ref', 'v1', '--depth', '0'];
    const { cli, terminal } = await attach({ args: [...args, '--credential', 'TOKEN', '--directory', 'src'] });
    const clone = { url: 'https://h/x', ref: 'v1', depth: 0, credential: 'TOKEN' };
    expect(terminal.claims).toMatchObject({ spoon: 'my shop', branch: 'fix/tax', directory: 'src', clone });
    terminal.hello();
    terminal.exit(0);
    await cli.ended;
    const half = await startCli(['attach', 'alice', '--spoon', 'x'], { server: world.url, token }).ended;
    expect(half).toMatchObject({ code: 2, err: expect.stringMatching(/both --spoon and --branch/) });
  });

  test('tells the shell the end of the input, again while it goes on, and leaves ~ alone', async () => {
    const { cli, terminal } = await attach();
    terminal.hello();
    cli.child.stdin?.end('~.\n');
    await until(() => terminal.typed() === '~.\n\u0004\u0004', 'Ctrl-D comes twice');
    terminal.exit(0);
    expect((await cli.ended).code).toBe(0);
  });

  test('status lines tell what it waits for, with the percentage of a pull', async () => {
    const { cli, terminal } = await attach();
    const progress = { image: 'x', doneBytes: 43, totalBytes: 100, layersDone: 0, layers: 1 };
    terminal.say({ type: 'status', phase: 'provisioning', step: 'pulling', message: 'pulls', progress });
    terminal.say({
      type: 'status',
      phase: 'provisioning',
      step: 'starting',
      message: 'the box starts',
      progress: null,
    });
    await until(() => cli.err() === 'alice: image is pulled 43 %\nalice: the box starts\n', 'the status lines');
    terminal.hello();
    terminal.exit(0);
    await cli.ended;
  });

  test('output is acknowledged, all but the last bit, and none is lost', async () => {
    const { cli, terminal } = await attach();
    terminal.hello();
    const total = 2 * 1024 * 1024;
    for (let sent = 0; sent < total; sent += 65_536) terminal.output(Buffer.alloc(65_536, 'x'));
    const acked = (): number =>
      terminal.messages.reduce((sum, message) => sum + (message.type === 'ack' ? message.bytes : 0), 0);
    await until(() => total - acked() < 32_768, 'the acks');
    expect(acked()).toBeLessThanOrEqual(total);
    terminal.exit(0);
    expect((await cli.ended).out).toHaveLength(total);
  });

  test('output that nobody reads is not acknowledged', async () => {
    const { cli, terminal } = await attach();
    cli.child.stdout?.pause();
    terminal.hello();
    for (let sent = 0; sent < 64; sent += 1) terminal.output(Buffer.alloc(65_536, 'x'));
    await new Promise((resolve) => setTimeout(resolve, 300));
    const acked = terminal.messages.reduce((sum, message) => sum + (message.type === 'ack' ? message.bytes : 0), 0);
    expect(acked).toBeLessThan(1024 * 1024);
    cli.child.stdout?.resume();
    terminal.exit(0);
    expect((await cli.ended).out).toHaveLength(64 * 65_536);
  });

  test('a new box under the terminal is told, a reap ends it with the reason', async () => {
    const { cli, terminal } = await attach();
    terminal.hello('c1');
    terminal.say({ type: 'notice', code: 'box-gone', message: 'the box has ended' });
    terminal.hello('c2');
    await until(() => /the box has ended\n.*new box of alice: only the home survives/.test(cli.err()), 'it is told');
    terminal.say({ type: 'exit', code: null, reason: 'reaped', message: 'an operator reaped the box' });
    terminal.close(4410);
    const { code, err } = await cli.ended;
    expect(code).toBe(255);
    expect(err).toContain('an operator reaped the box; only the home survives\n');
  });

  test('a lost connection is made again, with every byte once in both directions', async () => {
    const { cli, terminal } = await attach();
    terminal.hello('c1', { offset: 1_000 });
    cli.child.stdin?.write('abcdef');
    await until(() => terminal.typed() === 'abcdef', 'the input arrives');
    terminal.output('one ');
    await until(() => cli.out() === 'one ', 'the output');
    terminal.cut();
    const second = await gateway.next();
    expect(second.session).toBe(terminal.session);
    expect(second.messages).toEqual([{ type: 'hello', ticket: expect.any(String), offset: 1_004, cols: 80, rows: 24 }]);
    second.hello('c1', { start: 'exact', offset: 1_004, received: 4 });
    await until(() => second.typed() === 'ef', 'what was not received comes again');
    second.output('two');
    second.exit(3);
    const { code, out, err } = await cli.ended;
    expect({ code, out }).toEqual({ code: 3, out: 'one two' });
    expect(err).toMatch(/^connection lost \(.*\), trying again …\nconnected again, the shell goes on\n$/);
  });

  test('a gateway that restarts is waited for, a signal ends it', async () => {
    const lost = await attach();
    lost.terminal.hello();
    lost.terminal.close(1012);
    const second = await gateway.next();
    expect(lost.cli.err()).toContain('gateway restarts');
    second.hello('c1', { start: 'exact' });
    second.exit(4);
    expect((await lost.cli.ended).code).toBe(4);
    const ended = await attach();
    ended.cli.child.kill('SIGINT');
    expect((await ended.cli.ended).code).toBe(130);
    await ended.terminal.closed;
  });

  test('a session that is no more is a new shell, which is told, and what was typed to the old one is not typed to it', async () => {
    const { cli, terminal } = await attach();
    terminal.hello('c1');
    cli.child.stdin?.write('rm -r x');
    await until(() => terminal.typed() === 'rm -r x', 'the input arrives');
    terminal.cut();
    const second = await gateway.next();
    second.say({ type: 'notice', code: 'session-lost', message: 'the session has ended; this is a new one' });
    second.hello('c1', { received: null });
    await until(() => /the session has ended.*\n(.*\n)*7 bytes/.test(cli.err()), 'it is told');
    second.exit(0);
    expect((await cli.ended).code).toBe(0);
    expect(second.typed()).toBe('');
  });

  test('why the gateway closes a terminal is told once', async () => {
    const { cli, terminal } = await attach();
    const message = 'alice has 100 leases already; end some';
    terminal.say({ type: 'error', code: 'too-many-sessions', message });
    terminal.close(4429);
    expect(await cli.ended).toMatchObject({ code: 255, err: `${message}\n` });
  });

  test.each([
    [409, 'class-held', 'alice has the box with class small until 12:00; end that first', 1],
    [401, 'token-signature', 'the terminal token is refused: it was made with another secret, or changed', 77],
  ])('why the gateway refuses one with %i is told in its own words', async (status, code, detail, exitCode) => {
    const refusing = createServer().on('upgrade', (_request, socket) => {
      const body = JSON.stringify({ type: 'x', code, title: 'x', status, detail });
      socket.end(`HTTP/1.1 ${status} No\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    });
    await once(refusing.listen(0, '127.0.0.1'), 'listening');
    const address = refusing.address();
    const port = typeof address === 'object' ? address?.port : address;
    const elsewhere = await createApiWorld({ publicWsUrl: `ws://127.0.0.1:${port}` });
    const ended = await startCli(['attach', 'alice'], { server: elsewhere.url, token }).ended;
    await elsewhere.close();
    refusing.close();
    expect(ended).toMatchObject({ code: exitCode, err: `spoonbox: ${detail}\n` });
  });

  test('a gateway that is not there is one line', async () => {
    const elsewhere = await createApiWorld({ publicWsUrl: 'ws://127.0.0.1:9' });
    const { code, err } = await startCli(['attach', 'alice'], { server: elsewhere.url, token }).ended;
    await elsewhere.close();
    expect(code).toBe(69);
    expect(err).toMatch(/^spoonbox: the terminal gateway at ws:\/\/127\.0\.0\.1:9\/v1\/terminal cannot be used.*\n$/);
  });
});

describe('in a terminal', () => {
  /** What `stty -g` said first and last. */
  const settings = (out: string): string[] => out.match(/[0-9a-f]+(:[0-9a-f]+){10,}/g) ?? [];

  test('it is raw while the shell runs, has its size, and is as it was afterwards', async () => {
    const { cli, terminal } = await attach({ tty: true });
    expect(terminal.messages[0]).toEqual({ type: 'hello', cols: 100, rows: 30 });
    terminal.hello();
    terminal.output('$ ');
    await until(() => cli.out().includes('$ '), 'the prompt');
    // Ctrl-C is a byte, and a line is not waited for.
    cli.child.stdin?.write('a\u0003');
    await until(() => terminal.typed() === 'a\u0003', 'the keys');
    terminal.exit(7);
    const { code, out } = await cli.ended;
    expect(code).toBe(7);
    expect(settings(out)).toHaveLength(2);
    expect(settings(out)[0]).toBe(settings(out)[1]);
  });

  test('a new size is told', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'spoonbox-resize-'));
    const onceThereIs = join(dir, 'now');
    const { cli, terminal } = await attach({ tty: true, resizedTo: { cols: 111, rows: 33, onceThereIs } });
    terminal.hello();
    await writeFile(onceThereIs, '');
    // What sets it does so in two steps, which may be told one by one.
    const size = { type: 'resize', cols: 111, rows: 33 };
    await until(() => terminal.messages.some((message) => isDeepStrictEqual(message, size)), 'the new size');
    terminal.exit(0);
    await cli.ended;
    await rm(dir, { recursive: true });
  });

  test('~? helps, ~~ is a ~, ~. leaves', async () => {
    const { cli, terminal } = await attach({ tty: true });
    terminal.hello();
    terminal.output('$ ');
    await until(() => cli.out().includes('$ '), 'the prompt');
    cli.child.stdin?.write('~?');
    await until(() => cli.out().includes('a single ~'), 'the help');
    cli.child.stdin?.write('\r~~x\r');
    await until(() => terminal.typed() === '\r~x\r', 'the tilde');
    cli.child.stdin?.write('~');
    cli.child.stdin?.write('.');
    const { code, out } = await cli.ended;
    await terminal.closed;
    expect(code).toBe(0);
    expect(out).toContain('left the terminal of alice');
    expect(settings(out)[0]).toBe(settings(out)[1]);
  });

  test('it is as it was also after a reap in the middle of a full-screen program', async () => {
    const { cli, terminal } = await attach({ tty: true });
    terminal.hello();
    terminal.output('\u001b[?1049hvim');
    await until(() => cli.out().includes('vim'), 'the program');
    terminal.say({ type: 'exit', code: null, reason: 'idle', message: 'the box was idle too long' });
    terminal.close(4412);
    const { code, out } = await cli.ended;
    expect(code).toBe(255);
    expect(out).toContain('\u001b[?1049l');
    expect(out).toContain('only the home survives');
    expect(settings(out)[0]).toBe(settings(out)[1]);
  });

  test('Ctrl-C leaves while the box is waited for', async () => {
    const { cli, terminal } = await attach({ tty: true });
    terminal.say({
      type: 'status',
      phase: 'provisioning',
      step: 'starting',
      message: 'the box starts',
      progress: null,
    });
    await until(() => cli.out().includes('the box starts'), 'the status');
    cli.child.stdin?.write('\u0003');
    expect((await cli.ended).code).toBe(130);
  });
});

test('escape keys count only at the start of a line, also when they come in pieces', () => {
  const run = (...chunks: string[]): string => {
    const filter = createEscapeFilter();
    return chunks
      .flatMap((chunk) => filter(Buffer.from(chunk)))
      .map((typed) => (typed.type === 'bytes' ? typed.bytes.toString() : `<${typed.type}>`))
      .join('');
  };
  expect(run('~.')).toBe('<leave>');
  expect(run('a~.')).toBe('a~.');
  expect(run('a\r', '~', '.')).toBe('a\r<leave>');
  expect(run('~~', '.')).toBe('~.');
  expect(run('~x~.')).toBe('~x~.');
  expect(run('~\r~.')).toBe('~\r<leave>');
  expect(run('~?', 'ls\n')).toBe('<help>ls\n');
  expect(run('é~.')).toBe('é~.');
});
