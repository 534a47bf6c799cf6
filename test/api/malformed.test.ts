import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Problem, problemMediaType } from '#shared/problem.ts';
import { type ApiWorld, createApiWorld, token, until } from './api-world.ts';

let world: ApiWorld;
beforeAll(async () => {
  world = await createApiWorld();
});
afterAll(() => world.close());

/** A connection on which this was sent as it is; what comes back gathers. */
function send(bytes: string): { readonly socket: Socket; text: string; readonly closed: Promise<void> } {
  const socket = connect(Number(new URL(world.url).port), '127.0.0.1');
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const sent = { socket, text: '', closed };
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    sent.text += chunk.toString();
  });
  socket.write(bytes);
  return sent;
}

test.each([
  ['is no HTTP', 'nonsense\r\n\r\n', 400, 'request-refused'],
  ['has a header that is none', 'GET /healthz HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n', 400, 'request-refused'],
  [
    'has headers of more than 16 KiB',
    `GET /healthz HTTP/1.1\r\nHost: x\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`,
    431,
    'headers-too-large',
  ],
  [
    'expects what there is not',
    'GET /healthz HTTP/1.1\r\nHost: x\r\nExpect: more\r\nConnection: close\r\n\r\n',
    400,
    'request-refused',
  ],
  ['names no host', 'GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n', 400, 'request-refused'],
])('a request that %s is answered with a problem', async (_what, bytes, status, code) => {
  const sent = send(bytes);
  await sent.closed;
  const [head = '', body = ''] = sent.text.split('\r\n\r\n');
  expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} .*\\r\\n`));
  expect(head.toLowerCase()).toContain(`content-type: ${problemMediaType}`);
  expect(Problem.parse(JSON.parse(body.slice(body.indexOf('{'), body.lastIndexOf('}') + 1)))).toMatchObject({
    status,
    code,
  });
});

test('HTTP/1.0 needs no host', async () => {
  const sent = send('GET /healthz HTTP/1.0\r\n\r\n');
  await sent.closed;
  expect(sent.text).toMatch(/^HTTP\/1\.1 200 /);
});

test('nonsense on the connection of a watch ends it, and writes nothing into it', async () => {
  const sent = send(`GET /v1/boxes?watch=1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`);
  await until(() => sent.text.includes('event: synced'), 'synced');
  sent.socket.write('nonsense\r\n\r\n');
  await sent.closed;
  expect(sent.text).not.toContain('request-refused');
});
