import type { ServerResponse } from 'node:http';
import type { Clock } from '#shared/clock.ts';
import type { UserName } from '#shared/identity.ts';
import type { Logger } from '#shared/log.ts';
import { type ProblemCode, problemOf } from '#shared/problem.ts';
import { type BoxFeed, type Frame, sse, type Watcher } from './box-feed.ts';

export interface WatchLimits {
  readonly keepAliveMs: number;
  /** a reader that takes nothing for this long is dropped */
  readonly stalledMs: number;
  /** bytes that may wait in the socket; what comes meanwhile is coalesced per user, so it is bounded by the users */
  readonly maxBufferedBytes: number;
}

export const watchLimits: WatchLimits = { keepAliveMs: 15_000, stalledMs: 30_000, maxBufferedBytes: 256 * 1024 };

/** How long a reader has to take the last event before its connection is cut. */
const lingerMs = 2_000;

export interface Watch {
  /** Sends a last event with the reason, and ends. */
  end(code: ProblemCode, detail: string): void;
  readonly closed: Promise<void>;
}

/**
 * One server-sent event stream: the full state, `synced`, then changes.
 *
 * INVARIANTS
 * - what waits is one frame per user, the newest; more than `maxBufferedBytes` is never handed to the socket
 * - an older frame never follows a newer one of the same user
 */
export function startWatch(
  response: ServerResponse,
  feed: BoxFeed,
  user: UserName | null,
  clock: Clock,
  limits: WatchLimits,
  log: Logger,
): Watch {
  const waiting = new Map<UserName, Frame>();
  /** newest frame seen per user, only while the full state is still being read */
  let newest: Map<UserName, number> | null = new Map();
  let synced: 'no' | 'due' | 'sent' = 'no';
  let lastId = '0-0';
  let ended = false;
  let cancelStall: (() => void) | null = null;
  let cancelKeepAlive = (): void => {};

  const watcher: Watcher = {
    user,
    push(name, frame) {
      if (ended) return;
      if (newest) {
        if ((newest.get(name) ?? 0) > frame.order) return;
        newest.set(name, frame.order);
      }
      waiting.set(name, frame);
      flush();
    },
  };

  function flush(): void {
    for (const [name, frame] of waiting) {
      if (response.writableLength > limits.maxBufferedBytes) {
        stalled();
        return;
      }
      waiting.delete(name);
      lastId = /^id: (.*)$/m.exec(frame.text)?.[1] ?? lastId;
      response.write(frame.text);
    }
    if (synced !== 'due') return;
    synced = 'sent';
    response.write(sse('synced', lastId, {}));
  }

  function stalled(): void {
    cancelStall ??= clock.after(limits.stalledMs, () => {
      end(
        'watch-too-slow',
        `the watch was dropped because nothing of it was read for ${limits.stalledMs} ms: read faster, or watch one box`,
      );
      log.warn({ user, stalledMs: limits.stalledMs }, 'a watch was dropped: its reader took nothing');
    });
  }

  function onDrain(): void {
    cancelStall?.();
    cancelStall = null;
    flush();
  }

  function keepAlive(): void {
    cancelKeepAlive = clock.after(limits.keepAliveMs, () => {
      if (response.writableLength === 0) response.write(': still here\n\n');
      keepAlive();
    });
  }

  function close(): void {
    ended = true;
    waiting.clear();
    feed.leave(watcher);
    cancelStall?.();
    cancelKeepAlive();
    response.off('drain', onDrain);
  }

  function end(code: ProblemCode, detail: string): void {
    if (ended) return;
    close();
    response.end(sse('end', lastId, problemOf(code, detail)));
    response.once(
      'close',
      clock.after(lingerMs, () => response.destroy()),
    );
  }

  const closed = new Promise<void>((resolve) => response.once('close', () => resolve()));
  response.once('close', close);
  response.on('drain', onDrain);
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    connection: 'close',
    'x-accel-buffering': 'no',
  });
  response.flushHeaders();
  keepAlive();
  feed.join(watcher).then(
    () => {
      newest = null;
      synced = 'due';
      if (!ended) flush();
    },
    () => end('redis-unavailable', 'the state could not be read: Redis does not answer; watch again in a moment'),
  );
  return { end, closed };
}
