import type { FastifyReply } from 'fastify';
import type { BoxStore } from '#shared/box-store.ts';
import type { Clock } from '#shared/clock.ts';
import type { UserName } from '#shared/identity.ts';
import type { Logger } from '#shared/log.ts';
import { ProblemError } from '#shared/problem.ts';
import { callerOf } from './access.ts';
import type { BoxFeed } from './box-feed.ts';
import type { Changes } from './changes.ts';
import type { Watch, WatchLimits, WatchParts } from './event-stream.ts';
import { createHistory } from './history.ts';
import { type HistoryStart, startHistoryWatch } from './history-watch.ts';
import { startWatch } from './watch.ts';

/** More open watches than this are refused: each costs a socket and what waits for it. */
const maxWatches = 1_000;
/** Nobody may take them all from the others. */
const maxWatchesPerCaller = 250;
const shuttingDown = 'this controller ends: watch again at another, or in a moment';

export interface Watches {
  readonly count: number;
  /** Answers with a stream of box states; the reply is taken over. `lastId` null = from the present state. */
  open(reply: FastifyReply, user: UserName | null, lastId: string | null): undefined;
  /** Answers with a stream of what happens. */
  openHistory(reply: FastifyReply, user: UserName | null, start: HistoryStart): undefined;
  /** Ends all of them with a last event; who wants to watch from now on is refused. */
  endAll(): Promise<void>;
}

export interface WatchesParts {
  readonly store: BoxStore;
  readonly feed: BoxFeed;
  readonly changes: Changes;
  readonly clock: Clock;
  readonly limits: WatchLimits;
  readonly log: Logger;
}

export function createWatches(parts: WatchesParts): Watches {
  const { store, feed, changes, clock, limits, log } = parts;
  /** with the id of whose each is */
  const watches = new Map<Watch, string>();
  const history = createHistory(store);
  let ending = false;

  function take(reply: FastifyReply, start: (on: WatchParts) => Watch): undefined {
    if (ending) throw new ProblemError('shutting-down', shuttingDown);
    if (watches.size >= maxWatches) {
      throw new ProblemError('too-many-watches', `${maxWatches} watches are open, which is the most: end one first`);
    }
    const { id, name } = callerOf(reply.request);
    if ([...watches.values()].filter((of) => of === id).length >= maxWatchesPerCaller) {
      const detail = `${maxWatchesPerCaller} watches of ${name} are open, which is the most: end one first`;
      throw new ProblemError('too-many-watches', detail);
    }
    reply.hijack();
    const watch = start({ response: reply.raw, clock, limits, log });
    watches.set(watch, id);
    watch.closed.then(() => watches.delete(watch));
  }

  return {
    get count() {
      return watches.size;
    },
    open: (reply, user, lastId) => take(reply, (on) => startWatch(on, feed, user, lastId)),
    openHistory: (reply, user, start) =>
      take(reply, (on) => startHistoryWatch({ ...on, store, history, changes }, user, start)),
    async endAll() {
      ending = true;
      const open = [...watches.keys()];
      for (const watch of open) watch.end('shutting-down', shuttingDown);
      await Promise.all(open.map((watch) => watch.closed));
      feed.end();
    },
  };
}
