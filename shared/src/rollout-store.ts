import { z } from 'zod';
import { everybody, type Keys } from './identity.ts';
import { parseJson } from './json.ts';
import { RolloutPause } from './operator-schemas.ts';
import type { RedisPort } from './redis-port.ts';
import { PullReport, type PullRound, type RolloutPauseBody } from './rollout.ts';

export interface StoredRollout {
  /** Redis TIME in ms */
  readonly now: number;
  readonly pause: RolloutPause;
  /** null = nobody ever asked for one */
  readonly round: PullRound | null;
}

/** What of rollouts is kept in Redis. Every method is one script, and rejects when Redis does not answer. */
export interface RolloutStore {
  read(): Promise<StoredRollout>;
  /**
   * Once a pause is answered, no box is replaced any more because its image or class changed. `ifSince`: refused
   * (`set` false, with what stands) where the pause was set at another time; null = whenever.
   */
  pause(
    body: RolloutPauseBody,
    by: string,
    ifSince?: readonly number[] | null,
  ): Promise<{ now: number; pause: RolloutPause; set: boolean }>;
  /** Asks the leader to pull the images of all classes again; joins the round that is under way. Answers when that was asked for. */
  askPulls(by: string): Promise<number>;
  /** False where the token does not lead, or another round was asked for since: nothing of this one may be begun any more. */
  reportPulls(token: string, report: PullReport): Promise<boolean>;
}

export function createRolloutStore(redis: RedisPort, keys: Keys): RolloutStore {
  async function read(): Promise<StoredRollout> {
    const reply = await redis.run('read-rollout', [keys.rollout, keys.pullRound], []);
    const { now, pause, askedAt, by, report } = Reply.parse(parseJson(String(reply)));
    if (askedAt === 0) return { now, pause, round: null };
    const told = PullReport.safeParse(parseJson(report));
    // Nobody has begun it, or what was told of it cannot be read: it is begun again.
    const known = told.success && told.data.askedAt === askedAt ? told.data : { askedAt, ended: false, images: [] };
    return { now, pause, round: { ...known, by } };
  }

  return {
    read,
    async pause({ paused, reason }, by, ifSince = null) {
      const known = ifSince === null ? '' : JSON.stringify(ifSince);
      const args = [keys.wakeChannel, everybody, paused ? 1 : 0, reason ?? '', by, known];
      return PauseReply.parse(parseJson(String(await redis.run('pause-rollout', [keys.rollout], args))));
    },
    async askPulls(by) {
      const { round } = await read();
      const ended = round?.ended === true ? round.askedAt : 0;
      return Moment.parse(await redis.run('ask-pulls', [keys.pullRound], [keys.wakeChannel, everybody, by, ended]));
    },
    async reportPulls(token, report) {
      const args = [token, report.askedAt, JSON.stringify(report)];
      return (await redis.run('report-pulls', [keys.leader, keys.pullRound], args)) === 1;
    },
  };
}

const Moment = z.string().regex(/^\d+$/).transform(Number);
const PauseReply = z.object({ now: z.number(), pause: RolloutPause, set: z.boolean() });
const Reply = z.object({
  now: z.number(),
  pause: RolloutPause,
  askedAt: z.number(),
  by: z.string(),
  report: z.string(),
});
