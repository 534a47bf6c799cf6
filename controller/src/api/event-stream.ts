import type { ServerResponse } from 'node:http';
import type { Clock } from '#shared/clock.ts';
import type { Logger } from '#shared/log.ts';
import { type ProblemCode, problemOf } from '#shared/problem.ts';

export interface WatchLimits {
  readonly keepAliveMs: number;
  /** a reader that takes nothing for this long is dropped */
  readonly stalledMs: number;
  /** bytes that may wait in the socket; what comes meanwhile waits outside of it, within bounds of its own */
  readonly maxBufferedBytes: number;
}

export const watchLimits: WatchLimits = { keepAliveMs: 15_000, stalledMs: 30_000, maxBufferedBytes: 256 * 1024 };

/** How long a reader has to take the last event before its connection is cut. */
const lingerMs = 2_000;

/** What a watch needs of the process. */
export interface WatchParts {
  readonly response: ServerResponse;
  readonly clock: Clock;
  readonly limits: WatchLimits;
  readonly log: Logger;
}

/** One open watch, to be ended from outside. */
export interface Watch {
  /** Sends a last event with the reason, and ends. */
  end(code: ProblemCode, detail: string): void;
  readonly closed: Promise<void>;
}

/**
 * One response of server-sent events to one reader, who may be slow.
 *
 * INVARIANTS
 * - more than `maxBufferedBytes` and one event is never handed to the socket: writers ask `hasRoom` first
 * - a reader for whom there was no room for `stalledMs` is dropped, with the reason as its last event
 */
export interface EventStream extends Watch {
  readonly ended: boolean;
  /** False: wait for `onRoom`. */
  hasRoom(): boolean;
  write(event: string | Buffer, id: string): void;
}

export interface StreamHandlers {
  /** There is room again. */
  onRoom(): void;
  /** The reader has gone, or the stream was ended: nothing is written any more. */
  onEnd(): void;
}

/** Begins the answer. `firstId` is the id of a last event where none was written. */
export function openEventStream(parts: WatchParts, on: StreamHandlers, firstId: string): EventStream {
  const { response, clock, limits, log } = parts;
  let lastId = firstId;
  let ended = false;
  let cancelStall: (() => void) | null = null;
  let cancelKeepAlive = (): void => {};

  function stalled(): void {
    cancelStall ??= clock.after(limits.stalledMs, () => {
      end(
        'watch-too-slow',
        `the watch was dropped because nothing of it was read for ${limits.stalledMs} ms: read faster, or watch one box`,
      );
      log.warn({ stalledMs: limits.stalledMs }, 'a watch was dropped: its reader took nothing');
    });
  }

  function onDrain(): void {
    cancelStall?.();
    cancelStall = null;
    on.onRoom();
  }

  function keepAlive(): void {
    cancelKeepAlive = clock.after(limits.keepAliveMs, () => {
      if (response.writableLength === 0) response.write(': still here\n\n');
      keepAlive();
    });
  }

  function close(): void {
    if (ended) return;
    ended = true;
    cancelStall?.();
    cancelKeepAlive();
    response.off('drain', onDrain);
    on.onEnd();
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

  return {
    closed,
    end,
    get ended() {
      return ended;
    },
    hasRoom() {
      // Without a `drain` to come, less waits than the socket takes at once.
      if (response.writableLength <= limits.maxBufferedBytes || !response.writableNeedDrain) return true;
      stalled();
      return false;
    },
    write(event, id) {
      if (ended) return;
      lastId = id;
      response.write(event);
    },
  };
}

export function sse(event: string, id: string, data: unknown): string {
  return `id: ${id}\n${sseWithoutId(event, data)}`;
}

/** For an event that readers get with different ids: `id: …\n` goes before it. */
export function sseWithoutId(event: string, data: unknown): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
