import type { FastifyReply } from 'fastify';
import type { Clock } from '#shared/clock.ts';
import type { UserName } from '#shared/identity.ts';
import type { Logger } from '#shared/log.ts';
import { ProblemError } from '#shared/problem.ts';
import type { BoxFeed } from './box-feed.ts';
import { startWatch, type Watch, type WatchLimits } from './watch.ts';

/** More open watches than this are refused: each costs a socket and what waits for it. */
const maxWatches = 1_000;

export interface Watches {
  readonly count: number;
  /** Answers with a stream of events; the reply is taken over. */
  open(reply: FastifyReply, user: UserName | null): undefined;
  /** Ends all of them with a last event. */
  endAll(): Promise<void>;
}

export function createWatches(feed: BoxFeed, clock: Clock, limits: WatchLimits, log: Logger): Watches {
  const watches = new Set<Watch>();
  return {
    get count() {
      return watches.size;
    },
    open(reply, user) {
      if (watches.size >= maxWatches) {
        throw new ProblemError('too-many-watches', `${maxWatches} watches are open, which is the most: end one first`);
      }
      reply.hijack();
      const watch = startWatch(reply.raw, feed, user, clock, limits, log);
      watches.add(watch);
      watch.closed.then(() => watches.delete(watch));
    },
    async endAll() {
      const open = [...watches];
      for (const watch of open)
        watch.end('shutting-down', 'this controller ends: watch again at another, or in a moment');
      await Promise.all(open.map((watch) => watch.closed));
    },
  };
}
