import type { FaultKind } from '#shared/faults.ts';
import type { UserName } from '#shared/identity.ts';
import type { ReconcilerMode } from '#shared/operator-schemas.ts';
import type { DrainCause, Phase } from '#shared/status.ts';
import type { Command } from './box/command.ts';
import type { DistrustCause } from './reconcile/trust.ts';
import type { CommitRefusal } from './store/status-store.ts';

/** How a pass ended, in controller-runtime's words: `requeue` is at once, `requeue_after` after a wait, `error` threw. */
export type PassResult = 'success' | 'requeue' | 'requeue_after' | 'error';

/** What the keyed queue tells; it does not know what its keys are. */
export type QueueEvent =
  /** the key waits from now on */
  | { readonly type: 'queued'; readonly key: string }
  | { readonly type: 'pass-began'; readonly key: string; readonly waitedMs: number }
  | { readonly type: 'pass-ended'; readonly key: string; readonly result: PassResult; readonly tookMs: number }
  /** what waited is forgotten, and no pass runs any more */
  | { readonly type: 'queue-closed' };

/**
 * What the reconcile loop tells of itself: one union, which metrics, traces and the loop's health read. Nothing is decided by
 * an event, and telling one must stay cheap: it is done in the middle of every pass.
 */
export type LoopEvent =
  | QueueEvent
  /** the box of a live lease is not ready; `trace` is the lease's trace context, `sinceMs` how long the pass has run */
  | { readonly type: 'lease-waits'; readonly user: UserName; readonly trace: string; readonly sinceMs: number }
  /** what the pass concluded; null = nothing is stored of this user, or nothing any more */
  | { readonly type: 'concluded'; readonly user: UserName; readonly phase: Phase | null; readonly rule: string }
  | {
      readonly type: 'commit-refused';
      readonly user: UserName;
      readonly refused: CommitRefusal;
      /** of the drain that was asked for; null = no drain was */
      readonly cause: DrainCause | null;
    }
  /** a command of a pass, or long work, has ended; `tookMs` is the engine's time for it */
  | {
      readonly type: 'command-ended';
      readonly user: UserName;
      readonly command: Command['type'];
      readonly tookMs: number;
      readonly fault: FaultKind | null;
    }
  /** its permit was too old: nothing was done */
  | { readonly type: 'command-dropped'; readonly user: UserName; readonly command: Command['type'] }
  /** nobody needs the box, and the pacer lets it wait */
  | { readonly type: 'reap-paced'; readonly user: UserName }
  /** the container is gone */
  | { readonly type: 'reap-done'; readonly user: UserName; readonly cause: DrainCause }
  /** `afterMs`: since the box was asked for, or was lost while somebody held it (Redis' time) */
  | { readonly type: 'box-ready'; readonly user: UserName; readonly afterMs: number; readonly trace: string | null }
  /** a box that had waited in line for a place was let in; `afterMs`: since it was asked for (Redis' time) */
  | { readonly type: 'admitted'; readonly user: UserName; readonly afterMs: number }
  /** places that are taken, and who waits for one: after each change */
  | { readonly type: 'capacity'; readonly boxes: number; readonly memoryBytes: number; readonly waiting: number }
  | { readonly type: 'amnesty-began'; readonly cause: DistrustCause }
  | { readonly type: 'amnesty-ended' }
  /** everything was looked at: these users are known */
  | { readonly type: 'resynced'; readonly tookMs: number; readonly users: ReadonlySet<UserName> }
  | { readonly type: 'resync-failed' }
  /** what operators let the reconciler do, as it was read for a look at everything: at once after a change, and from time to time */
  | { readonly type: 'mode-read'; readonly mode: ReconcilerMode }
  /** one request to the container engine was answered, or was not */
  | {
      readonly type: 'engine-called';
      readonly call: string;
      readonly tookMs: number;
      readonly fault: FaultKind | 'aborted' | null;
    }
  /** what is known of homes: how many were looked at, what they take up together and the largest of them, and those above their quota */
  | {
      readonly type: 'homes-known';
      readonly measured: number;
      readonly usedBytes: number;
      readonly largestBytes: number;
      readonly overQuota: number;
    }
  | { readonly type: 'leading'; readonly leads: boolean };

export type OnLoopEvent = (event: LoopEvent) => void;

/** For those whose loop nobody listens to. */
export const unheard: OnLoopEvent = () => {};
