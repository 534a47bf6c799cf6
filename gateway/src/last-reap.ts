import { relativeTime, utcTime } from '#shared/human-time.ts';
import type { BoxRecord, DrainCause } from '#shared/status.ts';

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
export function lastReapNotice({ status }: Pick<BoxRecord, 'status'>, now: number): string | null {
  const last = status?.lastReap;
  if (!last) return null;
  if (status.readyAt !== null && now - status.readyAt > newsForMs) return null;
  const what = whatHappened[last.cause];
  if (what === null) return null;
  return `the box before this one ${what}, ${relativeTime(last.at, now)} (${utcTime(last.at, now)}); only the home survived`;
}

/** Tells each reap once to each user, as far as this process remembers; another gateway may tell it again. */
export class ReapNews {
  /** user → time of the reap that was told, oldest first */
  readonly #told = new Map<string, number>();

  next(record: Pick<BoxRecord, 'user' | 'status'>, now: number): string | null {
    const notice = lastReapNotice(record, now);
    const at = record.status?.lastReap?.at;
    if (notice === null || at === undefined || this.#told.get(record.user) === at) return null;
    this.#told.delete(record.user);
    this.#told.set(record.user, at);
    const [oldest] = this.#told.keys();
    if (this.#told.size > maxRemembered && oldest !== undefined) this.#told.delete(oldest);
    return notice;
  }
}
