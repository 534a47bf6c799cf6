import { z } from 'zod';
import { fromJson } from '#shared/box-store.ts';
import type { LoopHealth } from '#shared/operator-schemas.ts';
import type { Keys } from '#shared/identity.ts';
import type { RedisPort } from '#shared/redis-port.ts';

const LeadReply = z.object({
  leads: z.boolean(),
  /** moves with every renewal of whoever leads */
  counter: z.number(),
  /** Redis TIME in ms of the heartbeat before this call; 0 = none */
  previousAt: z.number(),
  now: z.number(),
  holder: z.string(),
  /** run id of the Redis that was trusted last; '' = none */
  marker: z.string(),
  fingerprint: z.string(),
  /** nobody leads, and the last leader gave it back (or there never was one) */
  free: z.boolean(),
});
export type LeadReply = z.infer<typeof LeadReply>;

export interface Candidate {
  readonly token: string;
  readonly ttlMs: number;
  /** the process, for people */
  readonly holder: string;
  readonly fingerprint: string;
}

export interface LeaderStore {
  look(candidate: Candidate): Promise<LeadReply>;
  renew(candidate: Candidate): Promise<LeadReply>;
  /** Succeeds where the lead is free, or the counter is still `seenCounter`. */
  take(candidate: Candidate, seenCounter: number): Promise<LeadReply>;
  release(candidate: Candidate): Promise<LeadReply>;
  /** Marks Redis as trusted (its run id) or not (null). False = the token does not lead. */
  mark(token: string, runId: string | null): Promise<boolean>;
  runId(): Promise<string>;
  /** Redis carries the mark of this very server: a leader that began now would trust it. */
  trusted(): Promise<boolean>;
  /** What the leader told with its last heartbeat, for whoever asks. */
  report(): Promise<LeaderReport>;
}

export interface LeaderReport {
  readonly now: number;
  /** '' = nobody leads */
  readonly holder: string;
  /** Redis TIME in ms; null = there never was one */
  readonly lastBeatAt: number | null;
  readonly loop: LoopHealth | null;
}

/** Who merely looks leads nothing. */
const onlooker: Candidate = { token: '', ttlMs: 1, holder: '', fingerprint: '' };

export function createLeaderStore(redis: RedisPort, keys: Keys): LeaderStore {
  async function lead(mode: string, candidate: Candidate, seenCounter: number | ''): Promise<LeadReply> {
    const { token, ttlMs, holder, fingerprint } = candidate;
    const args = [mode, token, ttlMs, holder, seenCounter, fingerprint];
    return LeadReply.parse(fromJson(await redis.run('lead', [keys.leader, keys.heartbeat, keys.marker], args)));
  }
  return {
    look: (candidate) => lead('look', candidate, ''),
    renew: (candidate) => lead('renew', candidate, ''),
    take: (candidate, seenCounter) => lead('take', candidate, seenCounter),
    release: (candidate) => lead('release', candidate, ''),
    async mark(token, runId) {
      return (await redis.run('set-marker', [keys.leader, keys.marker], [token, runId ?? ''])) === 1;
    },
    runId: () => redis.runId(),
    async trusted() {
      const { marker } = await lead('look', onlooker, '');
      return marker !== '' && marker === (await redis.runId());
    },
    async report() {
      const { now, holder, previousAt, free } = await lead('look', onlooker, '');
      return { now, holder: free ? '' : holder, lastBeatAt: previousAt === 0 ? null : previousAt, loop: null };
    },
  };
}
