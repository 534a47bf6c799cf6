import { expect } from 'vitest';
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

/** Opens a watch; its events gather in the list. */
export async function watch(of: ApiWorld, path: string, lastEventId?: string): Promise<Watching> {
  const client = new AbortController();
  const response = await fetch(`${of.url}${path}`, {
    headers: {
      authorization: `Bearer ${token}`,
      ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
    },
    signal: client.signal,
  });
  expect(response.headers.get('content-type')).toContain('text/event-stream');
  const events: ServerEvent[] = [];
  const done = (async () => {
    try {
      if (response.body) for await (const event of readEvents(response.body)) events.push(event);
    } catch (error) {
      if (!client.signal.aborted) throw error;
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
      client.abort();
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
