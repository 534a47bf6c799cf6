import { z } from 'zod';
import type { Desired, Hold, Lease, Session } from './lease.ts';
import type { HomeUsage } from './home-usage.ts';
import type { UserName } from './identity.ts';
import type { ModeView, RolloutPause } from './operator-schemas.ts';

/** Phases of a box, as the machine of `controller/src/box` concludes them. */
export const Phase = z.enum(['absent', 'provisioning', 'ready', 'reaping', 'failed']);
export type Phase = z.infer<typeof Phase>;

/** The step inside a phase. */
export const Step = z.enum(['pulling', 'creating', 'starting', 'probing', 'active', 'idle', 'stopping', 'removing']);
export type Step = z.infer<typeof Step>;

export const ConditionType = z.enum([
  'Ready',
  'EngineReachable',
  'ImageReady',
  'HomeReady',
  'HomeUsage',
  'ContainerReady',
  'ExecReady',
  'UpToDate',
  'VaultApplied',
  'Idle',
  'NameTaken',
]);
export type ConditionType = z.infer<typeof ConditionType>;

/** The closed list of reasons why a condition is as it is. */
export const Reason = z.enum([
  'Absent',
  'Active',
  'AdmissionWait',
  'AdoptRequested',
  'Amnesty',
  'ClassUnknown',
  'ContainerCreated',
  'ContainerDied',
  'ContainerGone',
  'ContainerMissing',
  'ContainerPaused',
  'ContainerRunning',
  'ContainerRemoving',
  'CreateFailed',
  'Detached',
  'Drained',
  'EngineAnswers',
  'EngineUnreachable',
  'ForeignContainer',
  'HomeFailed',
  'HomePresent',
  'HomeMissing',
  'HomeNoQuota',
  'HomeNotMeasured',
  'HomeOverQuota',
  'HomeWithinQuota',
  'HomeWrongOwner',
  'ImagePresent',
  'ImageMissing',
  'ImagePulling',
  'NameFree',
  'NotChecked',
  'OutOfMemory',
  'OverBudget',
  'Paused',
  'ProbeFailed',
  'Probed',
  'Provisioning',
  'PullFailed',
  'ReapPaced',
  'Reaping',
  'RemoveFailed',
  'RenameFailed',
  'SpecCurrent',
  'SpecDrift',
  'StartFailed',
  'StopFailed',
  'VaultApplied',
  'VaultDrift',
  'VaultEmpty',
  'VaultFailed',
  'VaultPending',
  'VaultUnreadable',
]);
export type Reason = z.infer<typeof Reason>;

export const Condition = z.object({
  type: ConditionType,
  status: z.enum(['True', 'False', 'Unknown']),
  reason: Reason,
  message: z.string(),
  /** Redis TIME in ms at which `status` last changed */
  since: z.number(),
});
export type Condition = z.infer<typeof Condition>;

/** Why a container was, or is being, stopped and removed. */
export const DrainCause = z.enum([
  'idle',
  'gave-way',
  'reap',
  'recreate',
  'deleted',
  'adopt',
  'stopped',
  'duplicate',
  'rollout',
]);
export type DrainCause = z.infer<typeof DrainCause>;

/** Progress of an image pull; the bytes are of the layers that the registry has named so far. */
export const PullProgress = z.object({
  image: z.string(),
  doneBytes: z.number(),
  totalBytes: z.number(),
  layersDone: z.number(),
  layers: z.number(),
});
export type PullProgress = z.infer<typeof PullProgress>;

export const LastReap = z.object({ cause: DrainCause, at: z.number(), message: z.string() });
export type LastReap = z.infer<typeof LastReap>;

/** The JSON part of a stored status. `value` and `context` are the machine's and are checked where it is brought back. */
export const StatusBody = z.object({
  value: z.unknown(),
  context: z.unknown(),
  step: Step.nullable(),
  conditions: z.array(Condition),
  /** one sentence: what the box is, does, or waits for */
  message: z.string(),
  progress: PullProgress.nullable(),
  observedGeneration: z.number(),
  lastReap: LastReap.nullable(),
  /** when the box became ready; null while it is not */
  readyAt: z.number().nullable(),
});
export type StatusBody = z.infer<typeof StatusBody>;

/** What became of the box before, and since when this one is ready. */
export const BoxPast = StatusBody.pick({ lastReap: true, readyAt: true });
export type BoxPast = z.infer<typeof BoxPast>;

/** What the reconciler concluded. Written by the leading controller only. */
export interface BoxStatus extends StatusBody {
  readonly version: number;
  readonly phase: Phase;
  readonly containerId: string | null;
  readonly containerGeneration: number;
  /** kept until then whatever else says (Redis TIME, ms; 0 = not), and why */
  readonly keepUntil: number;
  readonly keepCause: string;
}

export interface ReadyStatus extends BoxStatus {
  readonly containerId: string;
}

/**
 * A terminal or a job may go into it now. While the reconciler is paused no phase changes, so a box that ended meanwhile is
 * still `ready`: what the condition says counts more.
 */
export function isUsable(status: BoxStatus | null): status is ReadyStatus {
  if (status?.phase !== 'ready' || status.containerId === null) return false;
  return status.conditions.every(({ type, status: value }) => type !== 'Ready' || value !== 'False');
}

/** All that Redis knows of one user, read at one moment. */
export interface BoxRecord {
  readonly user: UserName;
  /** Redis TIME in ms at the read */
  readonly now: number;
  readonly desired: Desired | null;
  /** live ones */
  readonly leases: readonly Lease[];
  /** those that ended in the last 10 minutes */
  readonly ended: readonly Lease[];
  readonly sessions: readonly Session[];
  readonly status: BoxStatus | null;
  readonly holds: readonly Hold[];
  /** of the user's vault; 0 = it is empty, and nothing of it is to be removed from the home */
  readonly vaultRevision: number;
  /** a running box is kept while `now < wantedUntil` (0 = nothing holds it) */
  readonly wantedUntil: number;
  /** from then on an idle box may be reaped to make room for others who wait (Redis TIME, ms); null = never, as things are */
  readonly givesWayAt: number | null;
  /** what the reconciler may do now, for any user */
  readonly mode: ModeView;
  /** whether boxes may be replaced now because their image or class changed, for any user */
  readonly rollout: RolloutPause;
  /** null = nobody has looked */
  readonly homeUsage: HomeUsage | null;
}
