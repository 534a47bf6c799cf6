import { expect, test } from 'vitest';
import { createImages } from '../../controller/src/runtime/images.ts';
import { defaultTimeouts, type Engine } from '../../controller/src/runtime/engine.ts';
import { fakePort } from '../support/fake-port.ts';

/** An engine whose answers the test gives; each question ends with its own asker. */
function engineOf(): { engine: Engine; asked: { answer: (id: string) => void }[] } {
  const asked: { answer: (id: string) => void }[] = [];
  const engine = fakePort<Engine>({
    timeouts: defaultTimeouts,
    ask: (_operation, _request, answer, _timeoutMs, signal) =>
      new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
        asked.push({ answer: (id) => resolve(answer.parse({ Id: id })) });
      }),
  });
  return { engine, asked };
}

test('one question at a time for each image, however many ask', async () => {
  const { engine, asked } = engineOf();
  const images = createImages(engine);
  const signal = new AbortController().signal;
  const both = Promise.all([images.look('a:1', signal), images.look('a:1', signal)]);
  asked[0]?.answer('sha256:a');
  expect(await both).toEqual([
    { state: 'present', id: 'sha256:a' },
    { state: 'present', id: 'sha256:a' },
  ]);
  expect(asked).toHaveLength(1);
});

test('who gives up takes the answer from nobody else who waits for it', async () => {
  const { engine, asked } = engineOf();
  const images = createImages(engine);
  const client = new AbortController();
  const gone = images.look('a:1', client.signal);
  const pass = images.look('a:1', new AbortController().signal);
  client.abort(new Error('the client went'));
  await expect(gone).rejects.toThrow('the client went');
  await expect.poll(() => asked.length).toBe(2);
  asked[1]?.answer('sha256:a');
  expect(await pass).toEqual({ state: 'present', id: 'sha256:a' });
});
