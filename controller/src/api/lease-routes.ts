import type { FastifyRequest } from 'fastify';
import {
  LeaseBody,
  LeaseParams,
  LeaseReply,
  NoQuery,
  ReleaseReply,
  RenewBody,
  RenewReply,
  WaitQuery,
} from '#shared/api-schemas.ts';
import type { TakeRefusal } from '#shared/box-store.ts';
import { type LeaseKind, refusedTtl } from '#shared/lease.ts';
import { ProblemError } from '#shared/problem.ts';
import { mayDo } from '#shared/token-check.ts';
import { callerOf, roleTooLow } from './access.ts';
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
    {
      config: { role: 'jobs' },
      schema: {
        summary: 'Take a lease, and wait for its box; sent again, it is renewed',
        params: LeaseParams,
        querystring: WaitQuery,
        body: LeaseBody,
        response: { 200: LeaseReply },
        problems: [
          'ttl-refused',
          'class-unknown',
          'lease-unknown',
          'lease-ended',
          'name-differs-by-case',
          'lease-mismatch',
          'class-held',
          'too-many-leases',
        ],
      },
    },
    async (request, reply) => {
      const { user, id } = request.params;
      const { kind, holder, ttlMs, class: className, priority = null } = request.body;
      refuseKind(request, kind);
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
      const { record: recorded = null, checkout = null } = request.body;
      const wanted = { ttlMs, class: className ?? null, record: recorded, checkout };
      const taken = await fromStore(store.take({ user, id, kind, holder, ...wanted, priority, trace }));
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
    {
      config: { role: 'jobs' },
      schema: {
        summary: 'Renew a lease',
        params: LeaseParams,
        querystring: NoQuery,
        body: RenewBody,
        response: { 200: RenewReply },
        problems: ['ttl-refused', 'lease-unknown', 'lease-ended'],
      },
    },
    async (request) => {
      const { user, id } = request.params;
      const { ttlMs } = request.body;
      const kind = ttlMs !== undefined || !isAdmin(request) ? await kindOf(request.params) : null;
      if (kind !== null) refuseKind(request, kind);
      // The bounds depend on the kind.
      const wrongTtl = ttlMs !== undefined && kind !== null ? refusedTtl(kind, ttlMs) : null;
      if (wrongTtl !== null) throw new ProblemError('ttl-refused', `the renewal was refused: ${wrongTtl}`);
      const renewal = await fromStore(store.renew(user, id, ttlMs ?? null, noActivity));
      if (!renewal.ok) throw leaseGone(id, renewal);
      return { expiresAt: renewal.expiresAt, now: renewal.now };
    },
  );

  app.delete(
    '/v1/boxes/:user/leases/:id',
    {
      config: { role: 'jobs' },
      schema: {
        summary: 'Give a lease back',
        params: LeaseParams,
        querystring: NoQuery,
        response: { 200: ReleaseReply },
        problems: ['lease-unknown'],
      },
    },
    async (request) => {
      const { user, id } = request.params;
      const kind = isAdmin(request) ? null : await kindOf(request.params);
      if (kind !== null) refuseKind(request, kind);
      const released = await fromStore(store.release(user, id, callerOf(request).name));
      if (released === null) throw leaseGone(id, { refused: 'lease-unknown' });
      return { released };
    },
  );

  /** Only the lease itself tells it; null = it is gone, which the store's own answer is about. */
  async function kindOf({ user, id }: LeaseParams): Promise<LeaseKind | null> {
    const { leases } = await fromStore(store.read(user));
    return leases.find((lease) => lease.id === id)?.kind ?? null;
  }
}

function isAdmin(request: FastifyRequest): boolean {
  return mayDo(callerOf(request).role, 'admin');
}

/** Work holds boxes by jobs. A pin is an operator's, and a terminal's lease is its gateway's. */
function refuseKind(request: FastifyRequest, kind: LeaseKind): void {
  if (kind !== 'job' && !isAdmin(request)) throw roleTooLow(callerOf(request), 'admin', `a ${kind} lease`);
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
