import { randomBytes } from 'node:crypto';
import { IncomingMessage } from 'node:http';
import { connect as dial, Socket } from 'node:net';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { readTerminalRequest } from '../../gateway/src/admission.ts';
import type { Gateway } from '../../gateway/src/gateway.ts';
import { UserName } from '#shared/identity.ts';
import { secretFingerprint, signTerminalToken, TokenFieldError, verifyTerminalToken } from '#shared/terminal-token.ts';
import { createFakeExec } from './fake-exec.ts';
import { createGatewayWorld, type GatewayWorld, secret } from './gateway-world.ts';
import { type ConnectOptions, open, refusal } from './test-client.ts';

let world: GatewayWorld;
let gateway: Gateway;
const exec = createFakeExec();

beforeAll(async () => {
  world = await createGatewayWorld(exec);
  gateway = await world.gateway({ limits: { sessionsPerUser: 2 } });
});
afterAll(async () => await world?.close());

async function readyUser(): Promise<UserName> {
  const user = world.newUser();
  await world.commit(user, { phase: 'ready', containerId: 'c1' });
  return user;
}

function handMade(claims: Record<string, unknown>, by = secret, alg = 'HS256'): Promise<string> {
  const token = { user: 'alice', mode: 'rw', session: 's1', jti: `jti-${Math.random()}`, ...claims };
  const jwt = new SignJWT(token).setProtectedHeader({ alg }).setIssuer('spoonbox').setAudience('spoonbox-terminal');
  if (!('iat' in claims)) jwt.setIssuedAt();
  if (!('exp' in claims)) jwt.setExpirationTime('30s');
  return jwt.sign(new TextEncoder().encode(by));
}

const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1_000) + seconds;

describe('a terminal token', () => {
  it('passes where it was signed with the same secret, with what it says', async () => {
    const user = UserName.parse('alice');
    const signed = await signTerminalToken(secret, { user, mode: 'ro', directory: 'Code/x' });
    expect(signed.expiresAt).toBeLessThanOrEqual(Date.now() + 60_000);
    const verified = await verifyTerminalToken(secret, signed.token);
    expect(verified).toMatchObject({
      ok: true,
      claims: { user, mode: 'ro', directory: 'Code/x', session: signed.session },
    });
  });

  it.each([
    ['no JWT', async () => 'rubbish', 'token-malformed'],
    ['far too long', async () => 'x'.repeat(5_000), 'token-malformed'],
    ['of another secret', () => handMade({}, 'another secret'), 'token-signature'],
    ['of another algorithm', () => handMade({}, secret.repeat(4), 'HS512'), 'token-algorithm'],
    ['unsigned', async () => `${btoa('{"alg":"none"}').replaceAll('=', '')}.e30.`, 'token-algorithm'],
    ['expired', () => handMade({ iat: 1_000, exp: 1_030 }), 'token-expired'],
    ['for something else', () => handMade({ aud: 'x' }).then(withAudience), 'token-foreign'],
    ['valid for a day', () => handMade({ exp: Math.floor(Date.now() / 1_000) + 86_400 }), 'token-claims'],
    ['signed in the future', () => handMade({ iat: inSeconds(600), exp: inSeconds(630) }), 'token-claims'],
    ['without a user', () => handMade({ user: undefined }), 'token-claims'],
    ['of a bad user', () => handMade({ user: '../root' }), 'token-claims'],
    ['of a bad mode', () => handMade({ mode: 'root' }), 'token-claims'],
    ['with a bad session', () => handMade({ session: 'a b' }), 'token-claims'],
    ['with a directory above the home', () => handMade({ directory: 'a/../../b' }), 'token-claims'],
    ['with an absolute directory', () => handMade({ directory: '/etc' }), 'token-claims'],
    ['without an id', () => handMade({ jti: undefined }), 'token-claims'],
  ])('is refused when it is %s', async (_what, make, code) => {
    const token = await make();
    expect(await verifyTerminalToken(secret, token)).toMatchObject({ ok: false, code });
  });

  async function withAudience(): Promise<string> {
    const jwt = new SignJWT({ user: 'alice', mode: 'rw', session: 's1', jti: 'jti-12345678' });
    jwt.setProtectedHeader({ alg: 'HS256' }).setIssuer('spoonbox').setAudience('the-api').setIssuedAt();
    return await jwt.setExpirationTime('30s').sign(new TextEncoder().encode(secret));
  }

  it('is not signed for longer than a minute, nor for a place outside the home', async () => {
    const user = UserName.parse('alice');
    await expect(signTerminalToken(secret, { user, mode: 'rw', ttlMs: 61_000 })).rejects.toThrow(TokenFieldError);
    await expect(signTerminalToken(secret, { user, mode: 'rw', directory: '../x' })).rejects.toThrow(
      'must not contain',
    );
  });
});

describe('who is let in', () => {
  it('a token by subprotocol, by hello and by query; the subprotocol that is answered holds no token', async () => {
    for (const tokenBy of ['protocol', 'hello', 'query'] as const) {
      const user = await readyUser();
      const client = await open({ port: gateway.port, token: await world.token(user), tokenBy });
      expect(await client.message('hello')).toMatchObject({ user, containerId: 'c1' });
      expect(client.socket.protocol).toBe('spoonbox.v1');
      client.socket.close();
    }
  });

  it('a token once, whichever gateway sees it again', async () => {
    const other = await world.gateway();
    const user = await readyUser();
    const token = await world.token(user);
    const client = await open({ port: gateway.port, token });
    await client.message('hello');
    client.socket.close();
    await client.closed;
    await vi.waitFor(() => expect(gateway.sessions).toBe(0));
    expect(await refusal({ port: gateway.port, token })).toEqual({ status: 401, code: 'token-used' });
    const shells = exec.terminals.length;
    expect(await refusal({ port: other.port, token })).toEqual({ status: 401, code: 'token-used' });
    await vi.waitFor(async () => expect(await world.store.read(user)).toMatchObject({ leases: [], sessions: [] }));
    expect(exec.terminals.length).toBe(shells);
    const byHello = await open({ port: other.port, token, tokenBy: 'hello' });
    expect(await byHello.message('error')).toMatchObject({ code: 'token-used' });
    expect(await byHello.closed).toMatchObject({ code: 4401 });
  });

  it('nobody with a bad token, a bad path, a bad size or an unknown subprotocol', async () => {
    const { port } = gateway;
    const cases: [Partial<ConnectOptions>, number, string][] = [
      [{ token: 'x.y.z' }, 401, 'token-malformed'],
      [{ token: await handMade({}, 'another secret') }, 401, 'token-signature'],
      [{ token: await handMade({ iat: 1_000, exp: 1_030 }) }, 401, 'token-expired'],
      [{ raw: true }, 401, 'token-missing'],
      [{ path: '/v1/other', token: 'x' }, 404, 'route-unknown'],
      [{ raw: true, token: 'x', size: { cols: 0, rows: 5_000 } }, 400, 'size-refused'],
    ];
    for (const [options, status, code] of cases) {
      expect(await refusal({ port, ...options })).toEqual({ status, code });
    }
  });

  it.each([
    ['cols=100&rows=30', { size: { cols: 100, rows: 30 }, hasSize: true }],
    ['cols=&rows=', { size: { cols: 80, rows: 24 }, hasSize: false }],
    ['cols=100', { size: { cols: 100, rows: 24 }, hasSize: false }],
    ['', { size: { cols: 80, rows: 24 }, hasSize: false }],
  ])('who says a size in the URL, whole or not at all: %s', (query, says) => {
    const request = new IncomingMessage(new Socket());
    request.method = 'GET';
    request.url = `/v1/terminal?${query}`;
    request.headers['sec-websocket-protocol'] = 'spoonbox.v1';
    expect(readTerminalRequest(request)).toMatchObject(says);
  });

  it('pages of the allowed origins, and clients that are no pages', async () => {
    const guarded = await world.gateway({ origins: ['https://spoon.example'] });
    const { port } = guarded;
    const user = await readyUser();
    for (const origin of [
      'https://evil.example',
      'null',
      'https://spoon.example.evil.example',
      'http://spoon.example',
    ]) {
      const token = await world.token(user);
      expect(await refusal({ port, token, origin })).toEqual({ status: 403, code: 'origin-refused' });
    }
    for (const origin of ['https://spoon.example', undefined]) {
      const client = await open({ port, token: await world.token(user), ...(origin && { origin }) });
      await client.message('hello');
      client.socket.close();
    }
  });

  it('as many as the limits allow; one session id is one of them', async () => {
    const user = await readyUser();
    const one = await open({ port: gateway.port, token: await world.token(user, { session: 'one' }) });
    const again = await open({ port: gateway.port, token: await world.token(user, { session: 'one' }) });
    await again.message('hello');
    expect(gateway.sessions).toBe(1);
    const two = await open({ port: gateway.port, token: await world.token(user) });
    const three = await open({ port: gateway.port, token: await world.token(user) });
    expect(await three.closed).toMatchObject({ code: 4429, reason: expect.stringContaining('2 terminals') });
    for (const client of [one, again, two]) client.socket.close();
    await vi.waitFor(() => expect(gateway.sessions).toBe(0));
  });

  it('no name that differs from a known one only by case', async () => {
    const user = await readyUser();
    const upper = UserName.parse(user.toUpperCase());
    const client = await open({ port: gateway.port, token: await world.token(upper) });
    expect(await client.message('error')).toMatchObject({ code: 'name-differs-by-case' });
    expect(await client.closed).toMatchObject({ code: 4403 });
  });
});

describe('who does not follow the protocol', () => {
  it.each([
    ['input before hello', (socket: { send(data: unknown): void }) => socket.send(Buffer.from('ls')), 4400],
    ['text that is no JSON', (socket: { send(data: unknown): void }) => socket.send('ls'), 4400],
    ['an unknown message', (socket: { send(data: unknown): void }) => socket.send('{"type":"exec"}'), 4400],
    [
      'a resize before hello',
      (socket: { send(data: unknown): void }) => socket.send('{"type":"resize","cols":1,"rows":1}'),
      4400,
    ],
    [
      'an unknown field',
      (socket: { send(data: unknown): void }) => socket.send('{"type":"hello","cols":1,"rows":1,"x":1}'),
      4400,
    ],
    ['a size of 0', (socket: { send(data: unknown): void }) => socket.send('{"type":"hello","cols":0,"rows":1}'), 4400],
    [
      'a frame that is too large',
      (socket: { send(data: unknown): void }) => socket.send(Buffer.alloc(1_100_000)),
      1009,
    ],
  ])('is closed with the reason: %s', async (_what, send, code) => {
    const user = await readyUser();
    const client = await open({ port: gateway.port, token: await world.token(user), hello: false });
    send(client.socket);
    expect(await client.closed).toMatchObject({ code });
    await vi.waitFor(() => expect(gateway.sessions).toBe(0));
    await vi.waitFor(async () => expect(await world.store.read(user)).toMatchObject({ leases: [], sessions: [] }));
  });

  it('is closed with the reason: no word at all', async () => {
    const hasty = await world.gateway({ limits: { helloWithinMs: 300 } });
    const user = await readyUser();
    const client = await open({ port: hasty.port, token: await world.token(user), hello: false });
    expect(await client.closed).toMatchObject({ code: 4408 });
    await vi.waitFor(() => expect(hasty.sessions).toBe(0));
    expect(await world.store.read(user)).toMatchObject({ leases: [], sessions: [] });
  });

  it('no frame at all, in one packet with the handshake, ends that socket and not the gateway', async () => {
    const { socket, received } = dialRaw(gateway.port);
    socket.write(Buffer.concat([handshake(), Buffer.from([0xff, 0xff, 0xff, 0xff])]));
    await vi.waitFor(() => expect(closeCodeIn(received())).toBe(1002));
    socket.destroy();
    expect((await fetch(`http://127.0.0.1:${gateway.port}/healthz`)).status).toBe(200);
  });

  it('an ack of more than was sent, and a second hello, end the terminal properly', async () => {
    for (const message of [
      { type: 'ack', bytes: 5 },
      { type: 'hello', cols: 1, rows: 1 },
    ]) {
      const user = await readyUser();
      const client = await open({ port: gateway.port, token: await world.token(user) });
      await client.message('hello');
      client.tell(message);
      expect(await client.closed).toMatchObject({ code: 4400 });
      await vi.waitFor(() => expect(exec.terminals.at(-1)?.hangUps).toBe(1));
    }
  });

  it('hello without a token where none was shown', async () => {
    const client = await open({ port: gateway.port });
    expect(await client.message('error')).toMatchObject({ code: 'token-missing' });
    expect(await client.closed).toMatchObject({ code: 4401 });
  });
});

describe('beside the terminals', () => {
  it('answers /healthz, /readyz and /metrics, and plain requests with a problem', async () => {
    const base = `http://127.0.0.1:${gateway.port}`;
    expect((await fetch(`${base}/healthz`)).status).toBe(200);
    expect((await fetch(`${base}/readyz`)).status).toBe(200);
    expect(await (await fetch(`${base}/metrics`)).text()).toMatch(/^spoonbox_gateway_sessions \d+$/m);
    const plain = await fetch(`${base}/v1/terminal?token=x`);
    expect(plain.status).toBe(426);
    expect(plain.headers.get('content-type')).toBe('application/problem+json');
    expect((await fetch(`${base}/nothing`)).status).toBe(404);
  });

  it('tells once when the controller signs with another secret', async () => {
    const own = await createGatewayWorld(exec);
    try {
      await own.store.registerGateway({ id: 'x', address: 'x', fingerprint: 'x' }, 0);
      await own.lead(secretFingerprint('another secret'));
      await own.gateway({ limits: { registerEveryMs: 50 } });
      const told = (): string[] =>
        own.logged.filter((line) => line.includes('signs terminal tokens with another secret'));
      await vi.waitFor(() => expect(told()).toHaveLength(1));
      await new Promise((resolve) => setTimeout(resolve, 200));
      expect(told()).toHaveLength(1);
    } finally {
      await own.close();
    }
  });

  it('writes no token into its log', async () => {
    const user = await readyUser();
    const token = await world.token(user);
    const client = await open({ port: gateway.port, token });
    await client.message('hello');
    client.socket.close();
    expect(world.logged.join('\n')).not.toContain(token.slice(-20));
  });
});

function dialRaw(port: number): { socket: Socket; received: () => Buffer } {
  const chunks: Buffer[] = [];
  const socket = dial(port, '127.0.0.1');
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.on('error', () => {}); // the gateway may cut it
  return { socket, received: () => Buffer.concat(chunks) };
}

/** By way of a proxy on this machine, which says where it comes from: that address is counted. */
function handshake(from = '10.0.0.9'): Buffer {
  const lines = [
    'GET /v1/terminal HTTP/1.1',
    'Host: gateway',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
    'Sec-WebSocket-Protocol: spoonbox.v1',
    `X-Forwarded-For: ${from}`,
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`);
}

/** The code of the close frame (opcode 8, unmasked, short) that ends these bytes. */
function closeCodeIn(bytes: Buffer): number | undefined {
  const at = bytes.lastIndexOf(0x88);
  return at < 0 || bytes.length < at + 4 ? undefined : bytes.readUInt16BE(at + 2);
}

describe('who comes too often', () => {
  it('is told how long to wait, and let in after that; others are not held up', async () => {
    const slow = { burst: 2, perSecond: 1 };
    const strict = await world.gateway({ limits: { connectRates: { user: slow, address: slow, remembered: 10 } } });
    const user = await readyUser();
    for (const _try of [1, 2]) await open({ port: strict.port, token: await world.token(user) });
    const third = await open({ port: strict.port, token: await world.token(user) });
    expect(await third.closed).toMatchObject({ code: 4430, reason: expect.stringContaining('try again in 1 s') });
    const other = await open({ port: strict.port, token: await world.token(await readyUser()) });
    await other.message('hello');
  });

  it('has next to no memory and time where it is refused, and no WebSocket where many are', async () => {
    const one = { burst: 1, perSecond: 0.001 };
    const connectRates = { user: one, address: one, remembered: 10 };
    const strict = await world.gateway({ limits: { connectRates, handshakesAtOnce: 3 } });
    const first = dialRaw(strict.port);
    first.socket.write(handshake()); // it has used up what the address may
    await vi.waitFor(() => expect(first.received().length).toBeGreaterThan(0));
    // They never answer the close.
    const silent = [1, 2, 3].map(() => dialRaw(strict.port));
    const ended = silent.map(({ socket }) => new Promise((resolve) => socket.once('close', resolve)));
    for (const { socket } of silent) socket.write(handshake());
    await vi.waitFor(() => expect(silent.map(({ received }) => closeCodeIn(received()))).toEqual([4430, 4430, 4430]));
    const fourth = dialRaw(strict.port);
    fourth.socket.write(handshake());
    await vi.waitFor(() => expect(fourth.received().toString()).toMatch(/^HTTP\/1\.1 503 .*"code":"too-fast"/s));
    await Promise.all(ended);

    const large = dialRaw(strict.port);
    const cut = new Promise((resolve) => large.socket.once('close', resolve));
    large.socket.write(handshake());
    await vi.waitFor(() => expect(closeCodeIn(large.received())).toBe(4430));
    // A frame of 1 MiB, of which the beginning must not be kept.
    large.socket.write(Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0, 1, 2, 3, 4]));
    await cut;
    await vi.waitFor(async () => expect(await socketsOf(strict.port)).toBe(1));
    first.socket.destroy();
  });
});

async function socketsOf(port: number): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return Number(/^spoonbox_gateway_sockets (\d+)$/m.exec(text)?.[1]);
}
