import { z } from 'zod';
import { fromJson, type IdlePolicies, userScriptKeys } from '#shared/box-store.ts';
import type { Keys, UserName } from '#shared/identity.ts';
import type { RedisPort } from '#shared/redis-port.ts';
import type { ReconcilerMode } from '#shared/operator-schemas.ts';
import type { DrainCause, Phase, StatusBody } from '#shared/status.ts';

export type Intent =
  | { readonly kind: 'none' }
  | { readonly kind: 'drain'; readonly cause: DrainCause; readonly containerId: string }
  | { readonly kind: 'forget' };

export interface CommitEvent {
  readonly reason: string;
  readonly message: string;
  /** where the state of the machine changed */
  readonly edge?: { readonly from: string; readonly to: string; readonly rule: string };
}

export interface Commit {
  readonly user: UserName;
  /** the version that the pass read; 0 = there was none */
  readonly version: number;
  readonly phase: Phase;
  readonly containerId: string;
  readonly containerGeneration: number;
  readonly keepUntil: number;
  readonly keepCause: string;
  readonly body: StatusBody;
  readonly intent: Intent;
  readonly events: readonly CommitEvent[];
  /** that the pass read: the commit is refused where it is another by now */
  readonly mode: ReconcilerMode;
}

const CommitRefusal = z.enum(['not-leader', 'stale', 'still-wanted', 'untrusted']);
/** `still-wanted` and `untrusted` guard against an early reap. */
export type CommitRefusal = z.infer<typeof CommitRefusal>;

export type CommitResult =
  | { readonly ok: true }
  | { readonly ok: false; readonly refused: CommitRefusal; readonly detail: string };

/**
 * Writes status, and with it the permission to change a container. Refused unless the token still leads, the version is the
 * one that was read, and, for a drain, Redis comes to the same conclusion at this moment.
 */
export interface StatusStore {
  commit(token: string, commit: Commit): Promise<CommitResult>;
}

export function createStatusStore(options: { redis: RedisPort; keys: Keys; policies: IdlePolicies }): StatusStore {
  const { redis, keys } = options;
  const policies = JSON.stringify(options.policies);
  return {
    async commit(token, commit) {
      const { user, version, phase, containerId, containerGeneration, keepUntil, keepCause, intent, events } = commit;
      const body = JSON.stringify(commit.body);
      const status = { phase, containerId, containerGeneration, keepUntil, keepCause, body };
      const reply = await redis.run(
        'commit-status',
        [...userScriptKeys(keys, user), keys.rollout],
        [
          user,
          keys.wakeChannel,
          keys.statusChannel,
          token,
          version,
          JSON.stringify(status),
          JSON.stringify(intent),
          policies,
          JSON.stringify(events),
          commit.mode,
        ],
      );
      const parsed = CommitReply.parse(fromJson(reply));
      return 'refused' in parsed ? { ok: false, ...parsed } : { ok: true };
    },
  };
}

const CommitReply = z.union([
  z.object({ refused: CommitRefusal, detail: z.string() }),
  z.object({ version: z.number() }),
]);
