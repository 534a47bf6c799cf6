import type { FastifyRequest } from 'fastify';
import { BoxParams, EventList, EventsQuery, maxEventsListed } from '#shared/api-schemas.ts';
import { ProblemError } from '#shared/problem.ts';
import type { Api } from './api.ts';
import { boxUnknown } from './box-routes.ts';
import { isUnknown } from './box-view.ts';
import { eventViewOf } from './history.ts';
import type { HistoryStart } from './history-watch.ts';
import { lastEventIdOf } from './last-event-id.ts';
import { fromStore } from './problem-reply.ts';

const eventsByDefault = 50;

const watched = {
  happened: 'a BoxEventView',
  missed: 'some that came before the next one are not kept any more',
  end: 'a Problem: why the watch ends',
};

/** What happened: of all boxes (the last 5,000 events are kept), and of one (its last 200, also after it was deleted). */
export function addEventRoutes({ app, store, watches }: Api): void {
  app.get(
    '/v1/events',
    {
      config: { role: 'viewer' },
      schema: {
        summary: 'What happened to all boxes, the newest first; or watch what happens',
        querystring: EventsQuery,
        requestHeaders: lastEventIdOf.header,
        response: { 200: EventList },
        events: watched,
        problems: ['too-many-watches', 'shutting-down'],
      },
    },
    async (request, reply) => {
      const { watch, limit } = request.query;
      if (watch) return watches.openHistory(reply, null, startOf(request, limit));
      const items = limit === 0 ? [] : await fromStore(store.events(null, limit ?? eventsByDefault));
      return { items: items.map((event) => eventViewOf(null, event)) };
    },
  );

  app.get(
    '/v1/boxes/:user/events',
    {
      config: { role: 'viewer' },
      schema: {
        summary: 'What happened to one box, the newest first; or watch what happens',
        params: BoxParams,
        querystring: EventsQuery,
        requestHeaders: lastEventIdOf.header,
        response: { 200: EventList },
        events: watched,
        problems: ['box-unknown', 'too-many-watches', 'shutting-down'],
      },
    },
    async (request, reply) => {
      const { user } = request.params;
      const { watch, limit } = request.query;
      if (watch) return watches.openHistory(reply, user, startOf(request, limit));
      const items = limit === 0 ? [] : await fromStore(store.events(user, limit ?? eventsByDefault));
      // The events of a deleted box outlive everything else that was known of it.
      if (items.length === 0 && isUnknown(await fromStore(store.read(user)))) throw boxUnknown(user);
      return { items: items.map((event) => eventViewOf(user, event)) };
    },
  );
}

function startOf(request: Pick<FastifyRequest, 'headers'>, limit = 0): HistoryStart {
  const afterId = lastEventIdOf(request);
  if (afterId === null) return { past: Math.min(limit, maxEventsListed) };
  if (/^\d{1,19}-\d{1,19}$/.test(afterId)) return { afterId };
  throw new ProblemError(
    'request-invalid',
    `refused: Last-Event-ID: ${JSON.stringify(afterId)} is the id of no event. Send the id as it came, or leave the header out`,
  );
}
