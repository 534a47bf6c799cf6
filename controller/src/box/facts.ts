import type { BoxClass } from '#shared/box-class.ts';
import type { Fault } from '#shared/faults.ts';
import type { HomeUsage } from '#shared/home-usage.ts';
import type { UserName } from '#shared/identity.ts';
import type { Desired } from '#shared/lease.ts';
import type { ModeView } from '#shared/operator-schemas.ts';
import type { PullProgress } from '#shared/status.ts';
import type { BoxSpec } from './observed.ts';
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
  readonly last: { readonly command: CommandType; readonly containerId: string; readonly fault: Fault | null } | null;
  /** containers that are being stopped by this process at this moment */
  readonly stopping: readonly string[];
  /** set while Redis is not trusted to know who needs a box: every running box is granted `graceMs` once per `id` */
  readonly amnesty: { readonly id: string; readonly graceMs: number; readonly cause: string } | null;
  /** what a box without desired state gets, ms */
  readonly orphanGraceMs: number;
  /** what an operator lets the reconciler do */
  readonly mode: ModeView;
  /** null = an idle reap may be committed now; else when the pacer allows the next (Redis TIME) */
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
  | 'stop'
  | 'remove'
  | 'forget';
