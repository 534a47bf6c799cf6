import type { UserName } from '#shared/identity.ts';
import type { BoxFeed, ChangeFrame, Frame, Watcher } from './box-feed.ts';
import { openEventStream, sse, type Watch, type WatchParts } from './event-stream.ts';

/** Of an event that comes before all is known: whoever breaks off there begins anew. */
const fromTheBeginning = '0';

/**
 * One watch of boxes: what changed since `lastId`, or `full` and the full state where that is not known; then `synced`, then
 * changes.
 *
 * INVARIANTS
 * - what waits is one frame per user, the newest
 * - an older frame never follows a newer one of the same user
 * - the id of an event says where to go on: until `synced` where this watch began, after it at the event itself
 */
export function startWatch(parts: WatchParts, feed: BoxFeed, user: UserName | null, lastId: string | null): Watch {
  const waiting = new Map<UserName, Frame | ChangeFrame>();
  /** newest read seen per user, only until `synced` */
  let newest: Map<UserName, number> | null = new Map();
  let startId = lastId ?? fromTheBeginning;
  let synced: 'no' | 'due' | 'sent' = 'no';

  const watcher: Watcher = {
    user,
    push(name, frame) {
      if (stream.ended) return;
      if (newest) {
        if ((newest.get(name) ?? 0) > frame.read) return;
        newest.set(name, frame.read);
      }
      // At the end, so that ids rise as they are written.
      waiting.delete(name);
      waiting.set(name, frame);
      flush();
    },
  };

  const stream = openEventStream(
    parts,
    {
      onRoom: flush,
      onEnd() {
        waiting.clear();
        feed.leave(watcher);
      },
    },
    startId,
  );

  function flush(): void {
    for (const [name, frame] of waiting) {
      if (!stream.hasRoom()) return;
      waiting.delete(name);
      if (synced === 'sent' && 'bytes' in frame) stream.write(frame.bytes, frame.id);
      else stream.write(`id: ${startId}\n${frame.text}`, startId);
    }
    if (synced !== 'due') return;
    synced = 'sent';
    const id = feed.id();
    stream.write(sse('synced', id, {}), id);
  }

  const joining = feed.join(watcher, lastId);
  if (joining.from === null) {
    startId = fromTheBeginning;
    stream.write(sse('full', startId, {}), startId);
  }
  joining.told.then(
    () => {
      newest = null;
      synced = 'due';
      if (!stream.ended) flush();
    },
    () =>
      stream.end('redis-unavailable', 'the state could not be read: Redis does not answer; watch again in a moment'),
  );
  return stream;
}
