import { fastifyRateLimit, normalizeIP } from '@fastify/rate-limit';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { ProblemError } from '#shared/problem.ts';

/** Of one address: wrong tokens, wrong login codes, and requests without any. */
const failuresPerS = 20;
const windowMs = 1_000;

type Limiter = ReturnType<FastifyInstance['createRateLimit']>;

/** How fast one may ask. Each process counts for itself, and remembers the last 5,000 (the library's own bound). */
export interface RequestRates {
  /** Counts a request of who sends it, or of its address. Throws a problem where it is one too many. */
  count(request: FastifyRequest): Promise<void>;
  /** The same for one that did not show who sends it. Who does is never refused for the failures of others at its address. */
  countFailure(request: FastifyRequest): Promise<void>;
}

/** `app` must trust the proxies of this machine: addresses are as they tell. An IPv6 address counts by its first 64 bits. */
export function createRequestRates(app: FastifyInstance, requestsPerS: number): RequestRates {
  app.register(fastifyRateLimit, { global: false });
  let requests: Limiter | null = null;
  let failures: Limiter | null = null;
  const addressOf = ({ ip }: FastifyRequest): string => `address ${normalizeIP(ip)}`;

  return {
    async count(request) {
      requests ??= app.createRateLimit({
        max: requestsPerS,
        timeWindow: windowMs,
        keyGenerator: (asked) => (asked.caller ? `${asked.caller.by} ${asked.caller.id}` : addressOf(asked)),
      });
      const counted = await requests(request);
      const who = request.caller ? `of ${request.caller.name}` : 'from this address';
      if (isBeyond(counted)) throw refused(counted, `${requestsPerS} requests a second ${who}`);
    },
    async countFailure(request) {
      failures ??= app.createRateLimit({ max: failuresPerS, timeWindow: windowMs, keyGenerator: addressOf });
      const counted = await failures(request);
      if (isBeyond(counted))
        throw refused(counted, `${failuresPerS} requests a second without a valid token from this address`);
    },
  };
}

type Counted = Awaited<ReturnType<Limiter>>;
type Beyond = Extract<Counted, { isAllowed: false }>;

function isBeyond(counted: Counted): counted is Beyond {
  return !counted.isAllowed && counted.isExceeded;
}

function refused({ ttlInSeconds }: Beyond, most: string): ProblemError {
  const waitS = Math.max(1, ttlInSeconds);
  const detail = `refused because more than ${most} came: wait ${waitS} s, and ask more slowly`;
  return new ProblemError('too-many-requests', detail, { headers: { 'retry-after': String(waitS) } });
}
