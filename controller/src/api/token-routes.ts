import { z } from 'zod';
import { maxApiTokens } from '#shared/access-store.ts';
import { NoQuery } from '#shared/api-schemas.ts';
import { ApiTokenBody, ApiTokenList, ApiTokenReply, TokenParams } from '#shared/operator-schemas.ts';
import { ProblemError } from '#shared/problem.ts';
import type { Api } from './api.ts';
import { fromStore } from './problem-reply.ts';

/** Tokens of the API: who else may ask, and what. */
export function addTokenRoutes({ app, access }: Api): void {
  app.get(
    '/v1/tokens',
    {
      config: { role: 'admin' },
      schema: { summary: 'List the tokens of the API', querystring: NoQuery, response: { 200: ApiTokenList } },
    },
    async () => ({ items: await fromStore(access.tokens.tokens()) }),
  );

  app.post(
    '/v1/tokens',
    {
      config: { role: 'admin' },
      schema: {
        summary: 'Make a token of the API; it is shown this once',
        querystring: NoQuery,
        body: ApiTokenBody,
        response: { 201: ApiTokenReply },
        problems: ['too-many-tokens'],
      },
    },
    async (request, reply) => {
      const made = await fromStore(access.tokens.makeToken(request.body));
      if (made === null) {
        const detail = `no token was made because there are ${maxApiTokens}, which is the most: revoke some that nobody uses`;
        throw new ProblemError('too-many-tokens', detail);
      }
      reply.code(201).header('cache-control', 'no-store');
      return made;
    },
  );

  app.delete(
    '/v1/tokens/:id',
    {
      config: { role: 'admin' },
      schema: {
        summary: 'Revoke a token; what it watches is cut',
        params: TokenParams,
        querystring: NoQuery,
        response: { 204: z.undefined() },
        problems: ['token-unknown'],
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const wasThere = await fromStore(access.tokens.revokeToken(id));
      access.forgetToken(id);
      if (!wasThere) {
        throw new ProblemError('token-unknown', `there is no token ${id}: \`spoonbox api-token list\` shows all`);
      }
      return reply.code(204).send(undefined);
    },
  );
}
