import { LeaseBody, LeaseParams, type LeaseReply, NoQuery, RenewBody, WaitQuery } from '#shared/api-schemas.ts';
import type { TakeRefusal } from '#shared/box-store.ts';
import { refusedTtl } from '#shared/lease.ts';
import { ProblemError } from '#shared/problem.ts';
import { callerOf } from './access.ts';
import type { Api } from './api.ts';
import { isReady, viewOf } from './box-view.ts';
import { fromStore } from './problem-reply.ts';
import { leaseGone, waitUntilReady } from './wait-ready.ts';
import { waitOf } from './why.ts';

const noActivity = { inputAgeMs: null, outputAgeMs: null };

/** Taking, renewing and giving back leases: how agents hold a box while they work. */
export function addLeaseRoutes({ app, store, classes, changes, clock, untilGone, traceOf }: Api): void {
  app.put(
    '/v1/boxes/:user/leases/:id',
    { config: { role: 'jobs' }, schema: { params: LeaseParams, querystring: WaitQuery, body: LeaseBody } },
    async (request, reply): Promise<LeaseReply> => {
      const { user, id } = request.params;
      const { kind, holder, ttlMs, class: className } = request.body;
      const wrongTtl = refusedTtl(kind, ttlMs);
      if (wrongTtl !== null) throw new ProblemError('ttl-refused', `the lease was refused: ${wrongTtl}`);
      if (className !== undefined && !classes.has(className)) {
        const known = [...classes.keys()].join(', ');
        throw new ProblemError(
          'class-unknown',
          `the lease was refused: there is no class ${className}; known: ${known}`,
        );
      }
      const trace = traceOf(request);
      const taken = await fromStore(store.take({ user, id, kind, holder, ttlMs, class: className ?? null, trace }));
      if (!taken.ok) throw takeRefused(taken.refused, taken.detail, user, id);

      const held = { id, ttlMs, expiresAt: taken.lease.expiresAt };
      const on = { store, changes, clock };
      const { record, expiresAt } = await waitUntilReady(on, user, held, request.query.waitMs, untilGone(reply));
      const ready = isReady(record);
      return {
        lease: { id, user, expiresAt },
        now: record.now,
        ready,
        waitsFor: ready ? null : waitOf(record.status),
        box: viewOf(record, classes),
      };
    },
  );

  app.post(
    '/v1/boxes/:user/leases/:id/renew',
    { config: { role: 'jobs' }, schema: { params: LeaseParams, querystring: NoQuery, body: RenewBody } },
    async (request) => {
      const { user, id } = request.params;
      const { ttlMs } = request.body;
      if (ttlMs !== undefined) await checkRenewedTtl(ttlMs, request.params);
      const renewal = await fromStore(store.renew(user, id, ttlMs ?? null, noActivity));
      if (!renewal.ok) throw leaseGone(id, renewal);
      return { expiresAt: renewal.expiresAt, now: renewal.now };
    },
  );

  app.delete(
    '/v1/boxes/:user/leases/:id',
    { config: { role: 'jobs' }, schema: { params: LeaseParams, querystring: NoQuery } },
    async (request) => {
      const { user, id } = request.params;
      const released = await fromStore(store.release(user, id, callerOf(request).name));
      if (released === null) throw leaseGone(id, { refused: 'lease-unknown' });
      return { released };
    },
  );

  /** The bounds depend on the kind, which only the lease itself tells; a lease that is gone is told as such by the renewal. */
  async function checkRenewedTtl(ttlMs: number, { user, id }: LeaseParams): Promise<void> {
    const { leases } = await fromStore(store.read(user));
    const kind = leases.find((lease) => lease.id === id)?.kind;
    const wrong = kind && refusedTtl(kind, ttlMs);
    if (wrong) throw new ProblemError('ttl-refused', `the renewal was refused: ${wrong}`);
  }
}

function takeRefused(refused: TakeRefusal, detail: string, user: string, id: string): ProblemError {
  switch (refused) {
    case 'name-differs-by-case':
      return new ProblemError(refused, `${user} was refused because ${detail} exists: use the name as it is known`);
    case 'lease-mismatch':
      return new ProblemError(refused, `lease ${id} is a live ${detail}: take yours under another id`);
    case 'class-held':
      return new ProblemError(
        refused,
        `the box of ${user} is held with class ${detail}: ask for that class or none, or wait until its leases have ended`,
      );
    case 'too-many-leases':
      return new ProblemError(refused, `${user} holds ${detail} live leases, which is the most: give one back first`, {
        headers: { 'retry-after': '10' },
      });
  }
}
