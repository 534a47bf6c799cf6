import { maxApiTokens } from '#shared/access-store.ts';
import { NoQuery } from '#shared/api-schemas.ts';
import { ApiTokenBody, type ApiTokenReply, TokenParams } from '#shared/operator-schemas.ts';
import { ProblemError } from '#shared/problem.ts';
import type { Api } from './api.ts';
import { fromStore } from './problem-reply.ts';

/** Tokens of the API: who else may ask, and what. */
export function addTokenRoutes({ app, access }: Api): void {
  app.get('/v1/tokens', { config: { role: 'admin' }, schema: { querystring: NoQuery } }, async () => ({
    items: await fromStore(access.tokens.tokens()),
  }));

  app.post(
    '/v1/tokens',
    { config: { role: 'admin' }, schema: { querystring: NoQuery, body: ApiTokenBody } },
    async (request, reply): Promise<ApiTokenReply> => {
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
    { config: { role: 'admin' }, schema: { params: TokenParams, querystring: NoQuery } },
    async (request, reply) => {
      const { id } = request.params;
      const wasThere = await fromStore(access.tokens.revokeToken(id));
      access.forgetToken(id);
      if (!wasThere) {
        throw new ProblemError('token-unknown', `there is no token ${id}: \`spoonbox api-token list\` shows all`);
      }
      return await reply.code(204).send();
    },
  );
}
