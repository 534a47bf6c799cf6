import { BoxParams, NoQuery } from '#shared/api-schemas.ts';
import type { UserName } from '#shared/identity.ts';
import type { BoxStats } from '#shared/operator-schemas.ts';
import { ProblemError } from '#shared/problem.ts';
import type { Api } from './api.ts';
import { isUnknown } from './box-view.ts';
import { fromEngine, fromStore } from './problem-reply.ts';

/** What boxes use, as `StatsCollector` reads it. Rejects with an EngineError where the engine does not answer. */
export interface StatsPort {
  all(): Promise<BoxStats[]>;
  /** null where this user's box does not run */
  of(user: UserName): Promise<BoxStats | null>;
}

/** What boxes use at this moment. Looking is never activity. */
export function addStatsRoutes({ app, store, stats }: Api): void {
  app.get('/v1/stats', { config: { role: 'viewer' }, schema: { querystring: NoQuery } }, async () => {
    const items = await fromEngine(stats.all());
    const { now } = await fromStore(store.mode());
    return { now, items };
  });

  app.get(
    '/v1/boxes/:user/stats',
    { config: { role: 'viewer' }, schema: { params: BoxParams, querystring: NoQuery } },
    async (request): Promise<BoxStats> => {
      const { user } = request.params;
      const found = await fromEngine(stats.of(user));
      if (found !== null) return found;
      if (isUnknown(await fromStore(store.read(user))))
        throw new ProblemError('box-unknown', `nothing is known of ${user}: check the name`);
      throw new ProblemError(
        'box-not-running',
        `the box of ${user} does not run, so it uses nothing: take a lease or attach a terminal to start it`,
      );
    },
  );
}
