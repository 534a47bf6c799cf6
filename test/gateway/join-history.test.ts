import { PassThrough } from 'node:stream';
import type Docker from 'docker-modem';
import { expect, it } from 'vitest';
import { joinHistory } from '../../gateway/src/exec/join-history.ts';
import { systemClock } from '#shared/clock.ts';
import { createLogger } from '#shared/log.ts';
import { fakePort } from '../support/fake-port.ts';

it('a terminal that has ended while its history was asked for is read to its end, with all that it had said', async () => {
  const deps = {
    docker: fakePort<Docker>({}),
    clock: systemClock,
    log: createLogger({ name: 'test', level: 'silent' }),
  };
  const size = { cols: 80, rows: 24 };
  const start = { containerId: 'c1', session: 's1', size, directory: null, environment: {}, persist: 'tmux' } as const;
  const terminal = new PassThrough();
  terminal.write('the last ');
  terminal.end('words');
  const stream = await joinHistory(deps, start, terminal, new AbortController().signal);
  let text = '';
  for await (const bytes of stream) text += String(bytes);
  expect(text).toBe('the last words');
  expect({ joined: stream.destroyed, terminal: terminal.destroyed }).toEqual({ joined: true, terminal: true });
});
