import {
  ActionBody,
  BoxList,
  BoxParams,
  BoxView,
  ListQuery,
  maxPageSize,
  NoQuery,
  WatchQuery,
} from '#shared/api-schemas.ts';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import type { IfGeneration, Wish } from '#shared/box-store.ts';
import type { UserName } from '#shared/identity.ts';
import { ProblemError } from '#shared/problem.ts';
import { callerOf } from './access.ts';
import type { Api } from './api.ts';
import { pageOfBoxes } from './box-list.ts';
import { isUnknown, viewOf } from './box-view.ts';
import { etagOf, generationsOf, isKnown } from './etag.ts';
import { lastEventIdOf } from './last-event-id.ts';
import { fromStore } from './problem-reply.ts';
import { selectorOf } from './selector.ts';

const ifMatch = { 'if-match': 'the ETag that was read: refused with 412 where something else is desired by now' };
const watched = {
  full: 'the full state follows; replace what you have once `synced` comes',
  box: 'a BoxView',
  removed: '`{user}`, of whom nothing is known any more',
  synced: 'all is told that was before; changes follow',
  end: 'a Problem: why the watch ends',
};

/** Looking at boxes (which is never activity), and an operator's wishes (written as desired state; the reconciler acts). */
export function addBoxRoutes({ app, store, classes, watches }: Api): void {
  app.get(
    '/v1/boxes',
    {
      config: { role: 'viewer' },
      schema: {
        summary: 'List boxes, page by page; or watch all of them',
        querystring: ListQuery,
        requestHeaders: lastEventIdOf.header,
        response: { 200: BoxList },
        events: watched,
        problems: ['selector-invalid', 'continue-invalid', 'too-many-watches', 'shutting-down'],
      },
    },
    async (request, reply) => {
      const { watch, limit, continue: from = null, selector = '' } = request.query;
      if (!watch) return await fromStore(pageOfBoxes({ store, classes, limit, from, selects: selectorOf(selector) }));
      if (from !== null || selector !== '' || limit !== maxPageSize) {
        throw new ProblemError(
          'request-invalid',
          'refused: query: a watch tells of all boxes, without limit, continue and selector. Leave them out, and select what comes',
        );
      }
      return watches.open(reply, null, lastEventIdOf(request));
    },
  );

  app.get(
    '/v1/boxes/:user',
    {
      config: { role: 'viewer' },
      schema: {
        summary: 'Look at one box; or watch it',
        params: BoxParams,
        querystring: WatchQuery,
        requestHeaders: {
          ...lastEventIdOf.header,
          'if-none-match': 'an ETag: answered with 304 while nothing changed',
        },
        response: { 200: BoxView, 304: z.undefined() },
        events: watched,
        problems: ['box-unknown', 'too-many-watches', 'shutting-down'],
      },
    },
    async (request, reply) => {
      const { user } = request.params;
      if (request.query.watch) return watches.open(reply, user, lastEventIdOf(request));
      const view = await read(user);
      if (!isKnown(tagged(reply, view), request.headers['if-none-match'])) return view;
      return reply.code(304).send(undefined);
    },
  );

  app.post(
    '/v1/boxes/:user/actions',
    {
      config: { role: 'admin' },
      schema: {
        summary: 'Ask for a reap, a new box, or the adoption of a container',
        params: BoxParams,
        querystring: NoQuery,
        body: ActionBody,
        requestHeaders: ifMatch,
        response: { 202: BoxView },
        problems: ['box-unknown', 'name-differs-by-case', 'precondition-failed', 'wish-refused'],
      },
    },
    async (request, reply) => {
      const { user } = request.params;
      await wish(user, wishOf(request.body), {
        by: callerOf(request).name,
        ifGeneration: generationsOf(request.headers['if-match']),
      });
      const view = await read(user);
      tagged(reply, view);
      reply.code(202);
      return view;
    },
  );

  app.delete(
    '/v1/boxes/:user',
    {
      config: { role: 'admin' },
      schema: {
        summary: 'Delete a box and all that is known of it; the home and the vault stay',
        params: BoxParams,
        querystring: NoQuery,
        requestHeaders: ifMatch,
        response: { 202: BoxView },
        problems: ['box-unknown', 'name-differs-by-case', 'precondition-failed', 'wish-refused'],
      },
    },
    async (request, reply) => {
      const { user } = request.params;
      const before = await read(user);
      await wish(
        user,
        { wish: 'delete' },
        {
          by: callerOf(request).name,
          ifGeneration: generationsOf(request.headers['if-match']),
        },
      );
      // It may be gone already, by the time that it is read again.
      const after = await fromStore(store.read(user));
      const view = isUnknown(after) ? before : viewOf(after, classes);
      tagged(reply, view);
      reply.code(202);
      return view;
    },
  );

  async function read(user: UserName): Promise<BoxView> {
    const record = await fromStore(store.read(user));
    if (isUnknown(record)) throw boxUnknown(user);
    return viewOf(record, classes);
  }

  async function wish(
    user: UserName,
    asked: Wish,
    { by, ifGeneration }: { by: string; ifGeneration: IfGeneration },
  ): Promise<void> {
    const answer = await fromStore(store.wish(user, asked, by, ifGeneration));
    if (answer.ok) return;
    switch (answer.refused) {
      case 'box-unknown':
        throw boxUnknown(user);
      case 'precondition-failed':
        throw new ProblemError(
          'precondition-failed',
          `${asked.wish} was refused because the desired state of ${user} is not the one of If-Match: it is of generation ${answer.detail} now. Look at the box again, and decide anew`,
          { extras: { generation: Number(answer.detail) } },
        );
      case 'name-differs-by-case': {
        const detail = `${user} was refused because ${answer.detail} exists: use the name as it is known`;
        throw new ProblemError('name-differs-by-case', detail);
      }
      default:
        throw new ProblemError('wish-refused', `${asked.wish} was refused: ${answer.refused} ${answer.detail}`);
    }
  }
}

/** Sets the ETag, and answers with it. */
function tagged(reply: Pick<FastifyReply, 'header'>, view: BoxView): string {
  const etag = etagOf(view);
  reply.header('etag', etag);
  return etag;
}

function wishOf(body: ActionBody): Wish {
  if (body.action === 'adopt') return { wish: 'adopt', containerId: body.containerId, atOnce: body.now };
  return { wish: body.action };
}

export function boxUnknown(user: UserName): ProblemError {
  return new ProblemError('box-unknown', `nothing is known of ${user}: take a lease or attach a terminal to get a box`);
}
