import type { BoxClass } from '#shared/box-class.ts';
import type { Fault } from '#shared/faults.ts';
import type { HomeUsage } from '#shared/home-usage.ts';
import type { UserName } from '#shared/identity.ts';
import type { Desired } from '#shared/lease.ts';
import type { ModeView, RolloutPause } from '#shared/operator-schemas.ts';
import type { PullProgress } from '#shared/status.ts';
import type { HomeWritten } from '#shared/vault-status.ts';
import type { BoxSpec } from './observed.ts';
import type { Admission } from './admitting.ts';
import type { Ownership } from './ownership.ts';

/** Whether a box can be made from the class's image now. */
export type ImageFact =
  | { readonly state: 'present'; readonly id: string }
  /** it must be pulled first: absent, or the policy wants a fresh one */
  | { readonly state: 'wanted' }
  | { readonly state: 'pulling'; readonly progress: PullProgress | null }
  /** absent, and the policy forbids pulling */
  | { readonly state: 'forbidden' }
  | { readonly state: 'unknown' };

export type HomeFact =
  | { readonly state: 'present'; readonly rightOwner: boolean }
  | { readonly state: 'absent' }
  /** it is root's: an engine made it, or a crash came between its making and its giving */
  | { readonly state: 'not-given' }
  | { readonly state: 'unusable'; readonly message: string };

/**
 * Everything that one pass knows, gathered at one moment: the only input of the machine. All times are Redis TIME in ms.
 */
export interface Facts {
  readonly now: number;
  readonly user: UserName;
  readonly desired: Desired | null;
  /** some lease is live: only then is a box started */
  readonly hasLease: boolean;
  /** a running box is kept while `now < wantedUntil`; 0 = nothing holds it */
  readonly wantedUntil: number;
  /** granted, or kept for leases that Redis lost, until then; 0 = not */
  readonly keptUntil: number;
  /** containers with a terminal whose user is there, or may come back */
  readonly sessionsIn: readonly string[];
  /** when it may be reaped to make room for others; null = never, as things are */
  readonly givesWayAt: number | null;
  /** others wait for a place, and it is this box's turn to make room */
  readonly makesRoom: boolean;
  /** whether one more box may be there; of no matter to one that has its place */
  readonly admission: Admission;
  /** when the next live lease ends unless renewed; null = none */
  readonly nextLeaseExpiry: number | null;
  /** null = the engine answers; else why we know nothing about containers */
  readonly engineDown: string | null;
  readonly ownership: Ownership;
  /** running execs in the foreign container; null where nobody asked to adopt it */
  readonly foreignExecs: number | null;
  /** null = no class of the desired name is configured */
  readonly boxClass: BoxClass | null;
  readonly image: ImageFact;
  readonly home: HomeFact;
  /** what it takes up, as the last look told; nothing is decided by it */
  readonly homeUsage: HomeUsage | null;
  /** what a box would be made from now; null while the image or the class is not known */
  readonly spec: BoxSpec | null;
  /** how the last command of this process for this user ended; null = none since, or not known (another leader's) */
  readonly last: {
    readonly command: CommandType;
    readonly containerId: string;
    readonly fault: Fault | null;
    /** of a `write-vault` that came to its end */
    readonly vault?: HomeWritten;
  } | null;
  /** what is in the user's vault, and asked of the home; 0 = nothing is */
  readonly vault: { readonly revision: number };
  /** containers that are being stopped by this process at this moment */
  readonly stopping: readonly string[];
  /** set while Redis is not trusted to know who needs a box: every running box is granted `graceMs` once per `id` */
  readonly amnesty: { readonly id: string; readonly graceMs: number; readonly cause: string } | null;
  /** what a box without desired state gets, ms */
  readonly orphanGraceMs: number;
  /** what an operator lets the reconciler do */
  readonly mode: ModeView;
  /** whether boxes may be replaced because their image or class changed */
  readonly rollout: RolloutPause;
  /** null = an idle reap may be committed now; else when the pacer allows the next; rollouts take turns with them */
  readonly pacedUntil: number | null;
}

export type CommandType =
  | 'none'
  | 'pull'
  | 'ensure-home'
  | 'create'
  | 'start'
  | 'unpause'
  | 'rename'
  | 'probe'
  | 'write-vault'
  | 'stop'
  | 'remove'
  | 'forget';
