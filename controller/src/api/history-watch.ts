import type { BoxStore } from '#shared/box-store.ts';
import type { UserName } from '#shared/identity.ts';
import type { Changes } from './changes.ts';
import { openEventStream, sse, type Watch, type WatchParts } from './event-stream.ts';
import { type Happened, type History, pageOfEvents } from './history.ts';

/** Not everything that happens is also published, and a message may be lost: so it is looked at least this often. */
const lookEveryMs = 1_000;
const fromTheBeginning = '0-0';
const unreadable = 'the events could not be read: Redis does not answer; watch again in a moment';

/** Where a watch begins: after this event, or with the newest `past` ones. */
export type HistoryStart = { readonly afterId: string } | { readonly past: number };

export interface HistoryParts extends WatchParts {
  readonly store: BoxStore;
  readonly history: History;
  readonly changes: Changes;
}

/**
 * One watch of what happens, to one box or to all. It reads the stream in Redis from where its reader is: whoever comes back
 * with the last id gets exactly what came after it. Where that is not kept any more, `missed` comes first.
 *
 * INVARIANTS
 * - one read at a time, and the next one only when there is room: nothing waits here
 * - `cursor` is the id of the last event that was written
 */
export function startHistoryWatch(parts: HistoryParts, user: UserName | null, start: HistoryStart): Watch {
  const { store, history, changes, clock } = parts;
  let cursor: string | null = null;
  let looking = false;
  let again = false;
  /** what comes next may be gone from the stream by now */
  let behind = 'afterId' in start;
  let cancelLook = (): void => {};

  const stream = openEventStream(
    parts,
    {
      onRoom() {
        behind = true;
        look();
      },
      onEnd() {
        stopListening();
        cancelLook();
      },
    },
    'afterId' in start ? start.afterId : fromTheBeginning,
  );
  const stopListening = changes.listen((changed) => {
    if (user === null || changed === null || changed === user) look();
  });

  function look(): void {
    again = true;
    if (looking || stream.ended) return;
    looking = true;
    cancelLook();
    readOn()
      .catch(() => {
        behind = true;
        if (cursor === null) stream.end('redis-unavailable', unreadable);
      })
      .finally(() => {
        looking = false;
        if (!stream.ended) cancelLook = clock.after(lookEveryMs, look);
      });
  }

  async function readOn(): Promise<void> {
    while (again && !stream.ended && stream.hasRoom()) {
      again = false;
      cursor ??= await begin();
      const page = await history.after(user, cursor);
      if (behind && (await isTrimmed(cursor))) stream.write(sse('missed', cursor, {}), cursor);
      write(page);
      behind = page.length === pageOfEvents;
      again ||= behind;
    }
  }

  /** Where to go on; what is older than that has been written. */
  async function begin(): Promise<string> {
    if ('afterId' in start) return start.afterId;
    const newest = await store.events(user, start.past + 1);
    const before = newest.length > start.past ? newest.at(-1)?.id : undefined;
    return before ?? fromTheBeginning;
  }

  /** Events that came after this one may have been dropped from the stream. */
  async function isTrimmed(after: string): Promise<boolean> {
    const [oldest] = await store.eventsAfter(user, fromTheBeginning, 1);
    return after !== fromTheBeginning && oldest !== undefined && comesAfter(oldest.id, after);
  }

  function write(events: readonly Happened[]): void {
    for (const { id, text } of events) {
      stream.write(text, id);
      if (!stream.ended) cursor = id;
    }
  }

  look();
  return stream;
}

/** Ids of a stream: `<ms>-<n>`, each of up to 20 digits. */
function comesAfter(id: string, other: string): boolean {
  const [ms = '0', n = '0'] = id.split('-');
  const [otherMs = '0', otherN = '0'] = other.split('-');
  return BigInt(ms) > BigInt(otherMs) || (ms === otherMs && BigInt(n) > BigInt(otherN));
}
