import { useEffect, useState } from 'react';
import type { BoxEventView } from '#shared/api-schemas.ts';
import { api } from '../api.ts';
import { reconnecting } from './live.ts';

/** The most that a page keeps of what happened to a box. */
const eventsKept = 200;

/** What happened to a user's box, the newest first, and goes on happening. */
export function useEvents(user: string): readonly BoxEventView[] {
  const [events, setEvents] = useState<readonly BoxEventView[]>([]);
  useEffect(() => {
    const ending = new AbortController();
    let last: string | null = null;
    setEvents([]);
    reconnecting(
      {
        async connect(opened, signal) {
          if (last === null) {
            const before = await api.events(user, eventsKept, signal);
            last = before[0]?.id ?? null;
            setEvents((kept) => withEvents(kept, before));
          }
          opened();
          for await (const told of api.followEvents(user, last, signal)) {
            const more = told.type === 'happened' ? [told.event] : await api.events(user, eventsKept, signal);
            last = more[0]?.id ?? last;
            setEvents((kept) => withEvents(told.type === 'missed' ? [] : kept, more));
          }
        },
        on: () => {},
      },
      ending.signal,
    );
    return () => ending.abort();
  }, [user]);
  return events;
}

/** Each once, the newest first: ids are Redis stream ids. */
export function withEvents(kept: readonly BoxEventView[], more: readonly BoxEventView[]): readonly BoxEventView[] {
  const byId = new Map([...kept, ...more].map((event) => [event.id, event]));
  return [...byId.values()].sort((a, b) => compareIds(b.id, a.id)).slice(0, eventsKept);
}

function compareIds(a: string, b: string): number {
  const [aMs = 0, aOrder = 0] = a.split('-').map(Number);
  const [bMs = 0, bOrder = 0] = b.split('-').map(Number);
  return aMs - bMs || aOrder - bOrder;
}
