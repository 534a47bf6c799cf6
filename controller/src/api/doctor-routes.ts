import { NoQuery } from '#shared/api-schemas.ts';
import { DoctorReport } from '#shared/finding.ts';
import { ClearBody, ClearReply, LeftoverList } from '#shared/leftover.ts';
import { callerOf } from './access.ts';
import type { Api } from './api.ts';
import { fromEngine } from './problem-reply.ts';

/** What an operator checks, and what an earlier worker left. Asking changes nothing; helper containers run meanwhile. */
export function addDoctorRoutes({ app, doctor, leftovers, untilGone }: Api): void {
  app.get(
    '/v1/doctor',
    {
      config: { role: 'admin' },
      schema: {
        summary: 'What this controller finds of its Redis, its engine and its configuration, each with its mend',
        querystring: NoQuery,
        response: { 200: DoctorReport },
      },
    },
    async (_request, reply) => await doctor.examine(untilGone(reply)),
  );

  app.get(
    '/v1/leftovers',
    {
      config: { role: 'admin' },
      schema: {
        summary: 'What an earlier worker left on this host: nothing is changed',
        querystring: NoQuery,
        response: { 200: LeftoverList },
        problems: ['engine-unavailable'],
      },
    },
    async (_request, reply) => await fromEngine(leftovers.list(untilGone(reply))),
  );

  app.post(
    '/v1/leftovers/clear',
    {
      config: { role: 'admin' },
      schema: {
        summary: 'Clear one left-over, if it is still what was listed',
        querystring: NoQuery,
        body: ClearBody,
        response: { 200: ClearReply },
        problems: ['leftover-changed', 'leftover-in-use', 'wish-refused', 'engine-unavailable'],
      },
    },
    async (request, reply) => {
      // What was begun comes to its end also where the client goes.
      reply.header('cache-control', 'no-store');
      return await fromEngine(leftovers.clear(request.body, callerOf(request).name, new AbortController().signal));
    },
  );
}
