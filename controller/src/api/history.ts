import type { BoxEventView } from '#shared/api-schemas.ts';
import type { BoxEvent, BoxStore } from '#shared/box-store.ts';
import type { UserName } from '#shared/identity.ts';
import { sse } from './event-stream.ts';

export interface Happened {
  readonly id: string;
  readonly text: string;
}

/** So many events are read at once; the rest waits in Redis, not here. */
export const pageOfEvents = 100;

/**
 * What happened, as it goes over the wire. Those who follow the same history and are equally far share one read of it.
 */
export interface History {
  /** What came after this id, at most `pageOfEvents`, the oldest first. */
  after(user: UserName | null, id: string): Promise<readonly Happened[]>;
}

export function createHistory(store: BoxStore): History {
  const reading = new Map<string, Promise<readonly Happened[]>>();
  return {
    after(user, id) {
      const key = `${user ?? '*'} ${id}`;
      const running = reading.get(key);
      if (running) return running;
      const read = store
        .eventsAfter(user, id, pageOfEvents)
        .then((events) => events.map((event) => happened(eventViewOf(user, event))))
        .finally(() => reading.delete(key));
      reading.set(key, read);
      return read;
    },
  };
}

/** `user`: whose history it was read from; null = that of all, which says it in each event. */
export function eventViewOf(user: UserName | null, event: BoxEvent): BoxEventView {
  return { ...(user === null ? {} : { user }), ...event };
}

function happened(event: BoxEventView): Happened {
  return { id: event.id, text: sse('happened', event.id, event) };
}
