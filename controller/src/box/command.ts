import type { DrainCause } from '#shared/status.ts';
import type { BoxSpec } from './observed.ts';

/**
 * The one thing that a pass may do. Containers are addressed by the id that was inspected, never by name.
 * `cause` is what a drain is justified by: the commit decides on it again.
 */
export type Command =
  | { readonly type: 'none' }
  | { readonly type: 'pull'; readonly image: string }
  | { readonly type: 'ensure-home'; readonly uid: number; readonly gid: number; readonly image: string }
  | { readonly type: 'create'; readonly generation: number; readonly spec: BoxSpec }
  | { readonly type: 'start'; readonly id: string }
  /** with a cause: only so that it can be stopped, for a paused process cannot answer TERM */
  | { readonly type: 'unpause'; readonly id: string; readonly cause: DrainCause | null }
  | { readonly type: 'rename'; readonly id: string; readonly name: string }
  | { readonly type: 'probe'; readonly id: string }
  /** writes the user's vault into the home, from inside the box */
  | { readonly type: 'write-vault'; readonly id: string }
  | { readonly type: 'stop'; readonly id: string; readonly graceMs: number; readonly cause: DrainCause }
  | { readonly type: 'remove'; readonly id: string; readonly cause: DrainCause }
  /** no container, deleted, no lease: the user's state goes (done by the commit itself) */
  | { readonly type: 'forget' };

export type CommandOf<Type extends Command['type']> = Extract<Command, { type: Type }>;

export const noCommand: Command = { type: 'none' };
