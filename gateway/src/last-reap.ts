import { relativeTime, utcTime } from '#shared/human-time.ts';
import type { UserName } from '#shared/identity.ts';
import type { BoxPast, DrainCause } from '#shared/status.ts';

/** A box that has been there for so long is no news: whoever looks after its reap has done so before. */
const newsForMs = 24 * 3_600_000;
/** What this process remembers to have told. */
const maxRemembered = 10_000;

/** null: it is not what a person calls losing the box. */
const whatHappened: Record<DrainCause, string | null> = {
  idle: 'was reaped because nobody needed it any more',
  'gave-way': "was idle and gave way to others' who waited for one",
  reap: 'was reaped by an operator',
  recreate: 'was replaced: an operator had it made again',
  deleted: 'was deleted by an operator',
  adopt: 'was replaced: an operator allowed it',
  stopped: null,
  duplicate: null,
  rollout: 'was replaced by a newer one while nobody held it',
};

/**
 * What happened to the box before this one, for the `last-reap` notice of a new shell; null where there is none to tell.
 * `now` is Redis TIME in ms. Pure.
 */
export function lastReapNotice({ lastReap, readyAt }: BoxPast, now: number): string | null {
  if (lastReap === null) return null;
  if (readyAt !== null && now - readyAt > newsForMs) return null;
  const what = whatHappened[lastReap.cause];
  if (what === null) return null;
  const { at } = lastReap;
  return `the box before this one ${what}, ${relativeTime(at, now)} (${utcTime(at, now)}); only the home survived`;
}

/** Tells each reap once to each user, as far as this process remembers; another gateway may tell it again. */
export class ReapNews {
  /** user → time of the reap that was told, oldest first */
  readonly #told = new Map<UserName, number>();

  next(user: UserName, past: BoxPast, now: number): string | null {
    const notice = lastReapNotice(past, now);
    const at = past.lastReap?.at;
    if (notice === null || at === undefined || this.#told.get(user) === at) return null;
    this.#told.delete(user);
    this.#told.set(user, at);
    const [oldest] = this.#told.keys();
    if (this.#told.size > maxRemembered && oldest !== undefined) this.#told.delete(oldest);
    return notice;
  }
}
