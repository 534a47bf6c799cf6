import { z } from 'zod';
import { fromJson } from '#shared/box-store.ts';
import { parseJson } from '#shared/json.ts';
import type { Keys } from '#shared/identity.ts';
import { LoopHealth } from '#shared/operator-schemas.ts';
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

const ReportReply = LeadReply.extend({ loop: z.string() });

export interface Candidate {
  readonly token: string;
  readonly ttlMs: number;
  /** the process, for people */
  readonly holder: string;
  readonly fingerprint: string;
}

export interface LeaderStore {
  look(candidate: Candidate): Promise<LeadReply>;
  /** `loop`: how the leader's loop does, for `report`. */
  renew(candidate: Candidate, loop?: LoopHealth | null): Promise<LeadReply>;
  /** Succeeds where the lead is free, or the counter is still `seenCounter`. */
  take(candidate: Candidate, seenCounter: number): Promise<LeadReply>;
  release(candidate: Candidate): Promise<LeadReply>;
  /** Marks Redis as trusted (its run id) or not (null). False = the token does not lead. */
  mark(token: string, runId: string | null): Promise<boolean>;
  runId(): Promise<string>;
  /** Redis carries the mark of this very server: a leader that began now would trust it. */
  trusted(): Promise<boolean>;
  /** Fingerprint of the terminal secret of whoever led last; '' = nobody ever did. */
  secretOfLeader(): Promise<string>;
  /** Who leads, and how its loop does; any process may ask. `lastBeatAt` is Redis TIME in ms; null = nobody ever led. */
  report(): Promise<LeaderReport>;
}

export interface LeaderReport {
  /** Redis TIME in ms */
  readonly now: number;
  /** host:pid; '' = nobody leads */
  readonly holder: string;
  readonly lastBeatAt: number | null;
  /** as the leader told last; null = none has, or it cannot be read */
  readonly loop: LoopHealth | null;
}

/** Who merely looks leads nothing. */
const onlooker: Candidate = { token: '', ttlMs: 1, holder: '', fingerprint: '' };

export function createLeaderStore(redis: RedisPort, keys: Keys): LeaderStore {
  const leadKeys = [keys.leader, keys.heartbeat, keys.marker];

  async function lead(mode: string, candidate: Candidate, seenCounter: number | '', loop = ''): Promise<LeadReply> {
    const { token, ttlMs, holder, fingerprint } = candidate;
    const args = [mode, token, ttlMs, holder, seenCounter, fingerprint, loop];
    return LeadReply.parse(fromJson(await redis.run('lead', leadKeys, args)));
  }
  return {
    look: (candidate) => lead('look', candidate, ''),
    renew: (candidate, loop = null) => lead('renew', candidate, '', loop === null ? '' : JSON.stringify(loop)),
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
    async secretOfLeader() {
      return (await lead('look', onlooker, '')).fingerprint;
    },
    async report() {
      const reply = await redis.run('lead', leadKeys, ['report', '', 0, '', '', '', '']);
      const { now, holder, previousAt, loop } = ReportReply.parse(fromJson(reply));
      const told = LoopHealth.safeParse(parseJson(loop));
      return { now, holder, lastBeatAt: previousAt === 0 ? null : previousAt, loop: told.success ? told.data : null };
    },
  };
}
