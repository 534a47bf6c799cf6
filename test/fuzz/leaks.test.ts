import { createServer } from 'node:net';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { belongings, leakedSince } from './leaks.ts';

test('memory that is held, and a server that listens, are found; given back, they are not', async () => {
  const before = belongings();
  const held = [Buffer.alloc(64 * 1024 ** 2, 1)];
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const leaked = await leakedSince(before);
  expect(leaked).toMatch(/MB of heap/);
  expect(leaked).toMatch(/open descriptors/);
  held.pop();
  server.close();
  await once(server, 'close');
  expect(await leakedSince(before)).toBe('');
});
