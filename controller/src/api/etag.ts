import { hash } from 'node:crypto';
import type { BoxView } from '#shared/api-schemas.ts';
import type { IfGeneration } from '#shared/box-store.ts';
import type { IfRevision } from '#shared/vault-store.ts';
import type { ModeView } from '#shared/operator-schemas.ts';
import { ProblemError } from '#shared/problem.ts';

/** A header with more tags than this is refused. */
const maxTags = 20;

/**
 * `"<generation of the desired state>.<digest of everything>"`. Times that only went by (`now`, and the words of `why`) do not
 * count. If-None-Match compares all of it, so nobody is told "not changed" of a box that did; If-Match compares the
 * generation alone: what an operator asks for depends on what is desired, not on how far the reconciler has come.
 */
export function etagOf(view: BoxView): string {
  const { now: _now, why: _why, ...state } = view;
  const digest = hash('sha256', JSON.stringify(state), 'base64url').slice(0, 16);
  return `"${view.desired?.generation ?? 0}.${digest}"`;
}

/** If-None-Match: the reader has this one already. */
export function isKnown(etag: string, ifNoneMatch: string | undefined): boolean {
  if (ifNoneMatch === undefined) return false;
  return ifNoneMatch.trim() === '*' || tagsOf('If-None-Match', ifNoneMatch).includes(etag);
}

/** If-Match, as generations that the desired state may have. */
export function generationsOf(ifMatch: string | undefined): IfGeneration {
  if (ifMatch === undefined) return null;
  if (ifMatch.trim() === '*') return '*';
  return tagsOf('If-Match', ifMatch).map((tag) => {
    const generation = /^"(\d{1,15})(\.[\w-]*)?"$/.exec(tag)?.[1];
    if (generation === undefined) throw refused('If-Match', `${tag} is no tag of ours`);
    return Number(generation);
  });
}

/** The mode's, of all that the reconciler's view shows: it changes with every setting. */
export function etagOfMode({ since }: ModeView): string {
  return `"${since}"`;
}

/** If-Match, as the times at which the mode may have been set; null = whenever. */
export function modeTimesOf(ifMatch: string | undefined): readonly number[] | null {
  return ifMatch === undefined || ifMatch.trim() === '*' ? null : numbersOf(ifMatch);
}

/** A vault's, whichever of its entries is asked for: it changes with every change of any. */
export function etagOfVault(revision: number): string {
  return `"${revision}"`;
}

/** If-Match, as revisions that the vault may have. */
export function revisionsOf(ifMatch: string | undefined): IfRevision {
  if (ifMatch === undefined) return null;
  return ifMatch.trim() === '*' ? '*' : numbersOf(ifMatch);
}

function numbersOf(ifMatch: string): number[] {
  return tagsOf('If-Match', ifMatch).map((tag) => {
    const number = /^"(\d{1,15})"$/.exec(tag)?.[1];
    if (number === undefined) throw refused('If-Match', `${tag} is no tag of ours`);
    return Number(number);
  });
}

/** Weak ones too: proxies that compress make them of ours. */
function tagsOf(header: string, text: string): string[] {
  const tags = text.split(',').map((tag) => tag.trim().replace(/^W\//, ''));
  if (tags.length > maxTags) throw refused(header, `it has more than ${maxTags} tags`);
  const wrong = tags.find((tag) => !/^"[\x21\x23-\x7e]*"$/.test(tag));
  if (wrong !== undefined) throw refused(header, `${JSON.stringify(wrong)} is no tag in quotes`);
  return tags;
}

function refused(header: string, why: string): ProblemError {
  return new ProblemError(
    'request-invalid',
    `refused: ${header}: ${why}. Send the ETag of the GET as it came, or leave the header out`,
  );
}
