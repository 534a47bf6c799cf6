import { createServer, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { createApiClient } from '../../controller/sdk/api-client.ts';
import { Unreachable } from '../../controller/sdk/errors.ts';
import { FakeClock } from '../support/fake-clock.ts';

test('a stream that says nothing for 45 s, not even a comment, is lost; a network that is gone tells nobody', async () => {
  const answers: ServerResponse[] = [];
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(': hello\n\n');
    answers.push(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('the server has no port');
  try {
    const clock = new FakeClock();
    const api = createApiClient({ server: `http://127.0.0.1:${address.port}`, token: 'token' }, clock);
    const heard = async (times: number): Promise<void> => {
      await expect.poll(() => clock.armed).toBe(times);
    };
    const watching = (async () => {
      for await (const event of api.watch(null, null, new AbortController().signal)) throw new Error(event.type);
    })();
    const lost = expect(watching).rejects.toThrow(/nothing was heard for 45 s/);
    lost.catch(() => {}); // it is awaited below
    await heard(2);
    for (let comments = 1; comments <= 3; comments += 1) {
      await clock.advance(44_000);
      answers[0]?.write(': still here\n\n');
      await heard(2 + comments);
    }
    await clock.advance(45_000);
    await lost;
    await expect(watching).rejects.toThrow(Unreachable);
    expect(clock.pending).toBe(0);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
