import { once } from 'node:events';
import { get, IncomingMessage } from 'node:http';
import { expect } from 'vitest';
import { z } from 'zod';
import { BoxView } from '#shared/api-schemas.ts';
import { readEvents, type ServerEvent } from '../../controller/sdk/server-events.ts';
import { type ApiWorld, token, until } from './api-world.ts';

export interface Watching {
  readonly events: ServerEvent[];
  /** the id of the last event that came */
  readonly lastId: () => string;
  /** names of the events so far, those of a box with the user's */
  readonly told: () => string[];
  readonly end: () => Promise<void>;
  /** the server has ended it, or `end` */
  readonly done: Promise<void>;
  readonly until: (name: string, times?: number) => Promise<void>;
}

/**
 * Opens a watch; its events gather in the list. On a connection of its own: `fetch` opens another one in place of one that was
 * broken off, asks nothing on it, and so holds up the end of the server.
 */
export async function watch(of: ApiWorld, path: string, lastEventId?: string): Promise<Watching> {
  const headers = {
    authorization: `Bearer ${token}`,
    ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
  };
  const request = get(`${of.url}${path}`, { agent: false, headers });
  const [response] = z.tuple([z.instanceof(IncomingMessage)]).parse(await once(request, 'response'));
  expect(response.headers['content-type']).toContain('text/event-stream');
  const events: ServerEvent[] = [];
  const done = (async () => {
    try {
      for await (const event of readEvents(response)) events.push(event);
    } catch (error) {
      if (!request.destroyed) throw error;
    }
  })();
  const told = (): string[] =>
    events.map(({ event, data }) => {
      const { user, reason } = JSON.parse(data);
      return [event, user, reason].filter(Boolean).join(' ');
    });
  return {
    events,
    told,
    lastId: () => events.at(-1)?.id ?? '',
    async end() {
      request.destroy();
      await done;
    },
    done,
    async until(name, times = 1) {
      await until(() => told().filter((each) => each === name).length >= times, `${name} comes ${times} times`);
    },
  };
}

export function boxes(events: readonly ServerEvent[]): BoxView[] {
  return events.filter(({ event }) => event === 'box').map(({ data }) => BoxView.parse(JSON.parse(data)));
}
