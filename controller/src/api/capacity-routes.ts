import { NoQuery } from '#shared/api-schemas.ts';
import { CapacityView } from '#shared/operator-schemas.ts';
import type { BoxRecord } from '#shared/status.ts';
import type { Api } from './api.ts';
import { capacityViewOf } from './capacity-view.ts';
import { inParallel } from './in-parallel.ts';
import { fromStore } from './problem-reply.ts';

/** The limits, who has a place and who waits for one. Looking is never activity. */
export function addCapacityRoutes({ app, store, classes, config }: Api): void {
  app.get(
    '/v1/capacity',
    {
      config: { role: 'viewer' },
      schema: {
        summary: 'How many boxes may be there, who has a place, and who waits in line for one',
        querystring: NoQuery,
        response: { 200: CapacityView },
      },
    },
    async () => {
      const { now } = await fromStore(store.mode());
      const records: BoxRecord[] = [];
      const users = await fromStore(store.users());
      await fromStore(inParallel(users, async (user) => void records.push(await store.read(user))));
      return capacityViewOf(now, records, { classes, limits: config.limits });
    },
  );
}
