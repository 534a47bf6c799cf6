import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { systemClock } from '#shared/clock.ts';
import { EngineError } from '#shared/faults.ts';
import { InstallationId } from '#shared/identity.ts';
import { defaultTimeouts, type Engine } from '../../controller/src/runtime/engine.ts';
import { followEvents } from '../../controller/src/runtime/events.ts';

/** Follows an engine whose first stream ends at once and whose second stays; what is given up meanwhile. */
async function followed(answersPings: () => boolean): Promise<{ told: string[]; givenUp: string[] }> {
  const over = new AbortController();
  const told: string[] = [];
  const givenUp: string[] = [];
  let streams = 0;
  const engine: Engine = {
    timeouts: defaultTimeouts,
    async ask(operation, _request, answer) {
      if (streams === 1 && !answersPings() && told.includes('down'))
        throw new EngineError({ operation, kind: 'timeout', status: null, message: 'no answer' });
      return answer.parse('OK');
    },
    async open() {
      streams += 1;
      return streams === 1 ? Readable.from([]) : new Readable({ read() {} });
    },
    take: () => Promise.reject(new Error('nothing is taken over here')),
    giveUp: (why) => void givenUp.push(why),
  };
  const on = {
    event: () => {},
    gap: () => {
      told.push('gap');
      if (streams === 2) over.abort('over');
    },
    down: () => void told.push('down'),
  };
  const following = followEvents(
    { engine, clock: systemClock, installation: InstallationId.parse('test') },
    on,
    over.signal,
  );
  await expect(following).rejects.toBe('over');
  return { told, givenUp };
}

test('a stream of events that merely ends leaves the calls under way alone', async () => {
  expect(await followed(() => true)).toEqual({ told: ['gap', 'down', 'gap'], givenUp: [] });
});

test('one that ends because the engine does not answer gives them up, and once it is back those that came after', async () => {
  const { told, givenUp } = await followed(() => false);
  expect(told).toEqual(['gap', 'down', 'gap']);
  expect(givenUp).toHaveLength(2);
});
