import { BoxParams, NoQuery } from '#shared/api-schemas.ts';
import { ProblemError } from '#shared/problem.ts';
import { VaultHomeView, VaultTakeBody, VaultTaken } from '#shared/vault-home-schemas.ts';
import { createVaultOrders } from '#shared/vault-orders.ts';
import { BoxContext } from '../box/context.ts';
import { callerOf } from './access.ts';
import type { Api } from './api.ts';
import { fromStore } from './problem-reply.ts';

/** A user's vault in the home: how it stands there, and the vault's side of what the user edited. */
export function addVaultHomeRoutes({ app, store, redis, keys }: Api): void {
  const orders = createVaultOrders({ redis, keys });

  app.get(
    '/v1/users/:user/vault/status',
    {
      config: { role: 'viewer' },
      schema: {
        summary: "How a user's vault stands in the home: what was written, and what was left as the home has it",
        params: BoxParams,
        querystring: NoQuery,
        response: { 200: VaultHomeView },
      },
    },
    async (request) => {
      const { user } = request.params;
      const { status, vaultRevision: revision, now } = await fromStore(store.read(user));
      const condition = status?.conditions.find(({ type }) => type === 'VaultApplied');
      // What the reconciler remembers is its own: of one that cannot be read nothing is told, and it is made anew.
      const memory = BoxContext.safeParse(status?.context);
      return {
        user,
        revision,
        applied: memory.success ? memory.data.vault.applied : null,
        condition: condition ?? {
          ...{ status: 'Unknown', reason: 'NotChecked', since: now },
          message: 'nothing is known of this box: it is written when one runs',
        },
      };
    },
  );

  app.post(
    '/v1/users/:user/vault/take',
    {
      config: { role: 'admin' },
      schema: {
        summary: "Put the vault's file in the place of the home's, whatever is there; a copy of that stays beside it",
        params: BoxParams,
        querystring: NoQuery,
        body: VaultTakeBody,
        response: { 202: VaultTaken },
        problems: ['vault-entry-unknown'],
      },
    },
    async (request, reply) => {
      const { user } = request.params;
      const { path } = request.body;
      const taken = await fromStore(orders.take(user, path, callerOf(request).name));
      if (taken.ok) return await reply.code(202).send({ revision: taken.revision });
      throw new ProblemError('vault-entry-unknown', `the vault of ${user} has no ${path}: nothing can be put there`);
    },
  );
}
