import {
  ActionBody,
  BoxParams,
  type BoxView,
  EventsQuery,
  ListQuery,
  maxEventsListed,
  NoQuery,
  WatchQuery,
} from '#shared/api-schemas.ts';
import type { Wish } from '#shared/box-store.ts';
import type { UserName } from '#shared/identity.ts';
import { ProblemError } from '#shared/problem.ts';
import { callerOf } from './access.ts';
import type { Api } from './api.ts';
import { isUnknown, viewOf } from './box-view.ts';
import { fromStore } from './problem-reply.ts';

const eventsByDefault = 50;

/** Looking at boxes (which is never activity), and an operator's wishes (written as desired state; the reconciler acts). */
export function addBoxRoutes({ app, store, classes, feed, watches }: Api): void {
  app.get('/v1/boxes', { config: { role: 'viewer' }, schema: { querystring: ListQuery } }, async (request, reply) => {
    if (request.query.watch) return watches.open(reply, null);
    return { items: await fromStore(feed.readAll()) };
  });

  app.get(
    '/v1/boxes/:user',
    { config: { role: 'viewer' }, schema: { params: BoxParams, querystring: WatchQuery } },
    async (request, reply): Promise<BoxView | undefined> => {
      if (request.query.watch) return watches.open(reply, request.params.user);
      return await read(request.params.user);
    },
  );

  app.get(
    '/v1/boxes/:user/events',
    { config: { role: 'viewer' }, schema: { params: BoxParams, querystring: EventsQuery } },
    async (request) => {
      const { user } = request.params;
      const limit = request.query.limit ?? eventsByDefault;
      const items = limit === 0 ? [] : await fromStore(store.events(user, Math.min(limit, maxEventsListed)));
      // The events of a deleted box outlive everything else that was known of it.
      if (items.length === 0) await read(user);
      return { items };
    },
  );

  app.post(
    '/v1/boxes/:user/actions',
    { config: { role: 'admin' }, schema: { params: BoxParams, querystring: NoQuery, body: ActionBody } },
    async (request, reply): Promise<BoxView> => {
      const { user } = request.params;
      await wish(user, wishOf(request.body), callerOf(request).name);
      reply.code(202);
      return await read(user);
    },
  );

  app.delete(
    '/v1/boxes/:user',
    { config: { role: 'admin' }, schema: { params: BoxParams, querystring: NoQuery } },
    async (request, reply): Promise<BoxView> => {
      const { user } = request.params;
      const before = await read(user);
      await wish(user, { wish: 'delete' }, callerOf(request).name);
      reply.code(202);
      // It may be gone already, by the time that it is read again.
      const after = await fromStore(store.read(user));
      return isUnknown(after) ? before : viewOf(after, classes);
    },
  );

  async function read(user: UserName): Promise<BoxView> {
    const record = await fromStore(store.read(user));
    if (isUnknown(record)) throw unknown(user);
    return viewOf(record, classes);
  }

  async function wish(user: UserName, asked: Wish, by: string): Promise<void> {
    const answer = await fromStore(store.wish(user, asked, by));
    if (answer.ok) return;
    if (answer.refused === 'box-unknown') throw unknown(user);
    if (answer.refused === 'name-differs-by-case') {
      const detail = `${user} was refused because ${answer.detail} exists: use the name as it is known`;
      throw new ProblemError('name-differs-by-case', detail);
    }
    throw new ProblemError('wish-refused', `${asked.wish} was refused: ${answer.refused} ${answer.detail}`);
  }
}

function wishOf(body: ActionBody): Wish {
  if (body.action === 'adopt') return { wish: 'adopt', containerId: body.containerId, atOnce: body.now };
  return { wish: body.action };
}

function unknown(user: UserName): ProblemError {
  return new ProblemError('box-unknown', `nothing is known of ${user}: take a lease or attach a terminal to get a box`);
}
