import type { FastifyInstance, FastifySchema } from 'fastify';
import type { ProblemCode } from '#shared/problem.ts';

/**
 * What every route of `/v1` declares beside its handler, and nowhere else: `params`, `querystring` and `body` as zod schemas
 * (checked before the handler runs); `response`, a zod schema for each status of success (`{ 200: BoxView }`; `z.undefined()` =
 * no body), of which type the handler's answer has to be; and these. The OpenAPI document is made of them.
 */
declare module 'fastify' {
  interface FastifySchema {
    /** one line, for people */
    summary?: string;
    /** codes of this route, beside those that any route may answer with */
    problems?: readonly ProblemCode[];
    /** headers that the handler reads itself: name, and what it is for */
    requestHeaders?: Readonly<Record<string, string>>;
    /** of a `?watch=1`: name of each server-sent event, and what its data are */
    events?: Readonly<Record<string, string>>;
  }
}

export interface DeclaredRoute {
  readonly method: string;
  /** as fastify has it: `/v1/boxes/:user` */
  readonly url: string;
  readonly schema: FastifySchema;
}

/** Gathers every route that is added from now on. A route of `/v1` that does not say what it answers fails the start. */
export function gatherRoutes(app: Pick<FastifyInstance, 'addHook'>): readonly DeclaredRoute[] {
  const routes: DeclaredRoute[] = [];
  app.addHook('onRoute', ({ method, url, schema = {} }) => {
    const isDeclared = schema.summary !== undefined && schema.response !== undefined;
    if (url.startsWith('/v1/') && !isDeclared) {
      throw new Error(`${method} ${url} does not declare its summary and its response: add both to its schema`);
    }
    if (isDeclared) for (const each of [method].flat()) routes.push({ method: each, url, schema });
  });
  return routes;
}
