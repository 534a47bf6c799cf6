import { createHash } from 'node:crypto';
import type { UserName } from '#shared/identity.ts';
import type { Leftover } from '#shared/leftover.ts';

/** What it takes to clear a leftover: exactly what was seen. */
export type Target =
  | { readonly type: 'container'; readonly id: string }
  | { readonly type: 'box'; readonly id: string; readonly user: UserName }
  | { readonly type: 'directory'; readonly name: string; readonly inode: string }
  /** a directory that was thrown away before */
  | { readonly type: 'trash'; readonly as: string }
  | { readonly type: 'none' };

export interface FoundLeftover {
  readonly leftover: Leftover;
  readonly target: Target;
}

export interface FoundLeftovers {
  readonly items: readonly FoundLeftover[];
  readonly notLooked: readonly string[];
}

/** A short name for exactly these facts. */
export function seenOf(facts: readonly (string | number)[]): string {
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 16);
}

/**
 * Of what can be cleared, and of whether that takes force. What is only ever listed is not part of it: users make that in their homes
 * as they like, and must not keep an operator from clearing anything.
 */
export function digestOf(items: readonly Leftover[]): string {
  const cleared = items.filter(({ action }) => action !== 'none');
  return seenOf(cleared.flatMap(({ kind, name, seen, inUse }) => [kind, name, seen, inUse === null ? 'free' : 'used']));
}

/** Under which name a directory that was seen so is in the trash. */
export function trashNameOf(name: string, seen: string): string {
  return `${name}.${seen}`;
}
