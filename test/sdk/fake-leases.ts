import { BoxView, type LeaseBody, type LeaseReply } from '#shared/api-schemas.ts';
import type { Clock } from '#shared/clock.ts';
import { LeaseId, UserName } from '#shared/identity.ts';
import { type ProblemCode, problemOf } from '#shared/problem.ts';
import type { ApiClient } from '../../controller/sdk/api-client.ts';
import { ApiRefusal, Unreachable } from '../../controller/sdk/errors.ts';

export interface FakeLeases {
  readonly api: Pick<ApiClient, 'takeLease' | 'renewLease' | 'releaseLease'>;
  /** each request so far, and when: `take 0`, `renew 18000` */
  readonly asked: string[];
  /** what every request meets from now on */
  answer: 'as it is' | 'nothing' | 'unreachable' | ProblemCode;
  /** what a renewal tells beside its code */
  endReason: string;
  /** leases that Redis has */
  readonly live: Set<string>;
}

/** The three lease routes, on a clock that the test turns. */
export function fakeLeases(clock: Clock): FakeLeases {
  const startedAtMs = clock.monotonicMs();
  const since = (): number => clock.monotonicMs() - startedAtMs;
  // Of no relation to the client's clock.
  const redisNow = (): number => 1_700_000_000_000 + since();
  let ttlMs = 0;

  async function answered<Reply>(what: string, signal: AbortSignal, reply: () => Reply): Promise<Reply> {
    fake.asked.push(`${what} ${Math.round(since())}`);
    const { answer } = fake;
    if (answer === 'as it is') return reply();
    if (answer === 'unreachable') throw new Unreachable('nobody is there');
    if (answer === 'nothing') {
      return await new Promise<never>((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
      });
    }
    throw refusal(answer, { reason: fake.endReason });
  }

  const fake: FakeLeases = {
    asked: [],
    answer: 'as it is',
    endReason: 'reaped',
    live: new Set(),
    api: {
      takeLease: (user, id, body, _waitMs, signal) =>
        answered('take', signal, () => {
          fake.live.add(id);
          ttlMs = body.ttlMs;
          return replyTo(user, id, body, redisNow());
        }),
      renewLease: (_user, id, signal) =>
        answered('renew', signal, () => {
          if (!fake.live.has(id)) throw refusal('lease-unknown', {});
          return { expiresAt: redisNow() + ttlMs, now: redisNow() };
        }),
      releaseLease: (_user, id, signal) => answered('release', signal, () => fake.live.delete(id)),
    },
  };
  return fake;
}

function refusal(code: ProblemCode, extras: Readonly<Record<string, unknown>>): ApiRefusal {
  return new ApiRefusal(problemOf(code, `refused: ${code}`, extras));
}

function replyTo(user: string, id: string, { ttlMs }: LeaseBody, now: number): LeaseReply {
  const box = {
    ...{ user, now, phase: 'provisioning', step: 'creating', message: 'the container is made', ready: false },
    ...{ class: 'default', containerId: null, readyAt: null, until: null, why: [], progress: null, conditions: [] },
    ...{ leases: [], endedLeases: [], sessions: [], desired: null, lastReap: null },
  };
  const lease = { id: LeaseId.parse(id), user: UserName.parse(user), expiresAt: now + ttlMs };
  return { lease, now, ready: false, waitsFor: box.message, box: BoxView.parse(box) };
}
