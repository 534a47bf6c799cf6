import { hash } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { BoxView } from '#shared/api-schemas.ts';
import type { IfGeneration } from '#shared/box-store.ts';
import type { IfRevision } from '#shared/vault-store.ts';
import type { ModeView } from '#shared/operator-schemas.ts';
import { utcTime } from '#shared/human-time.ts';
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

/** What an operator sets for the whole installation: the reconciler's mode, the pause of rollouts. `since`: Redis TIME in ms. */
type Setting = Pick<ModeView, 'by' | 'since'>;

/** The setting's, of all that its view shows: it changes with every time that it is set. */
export function etagOfSetting({ since }: Setting): string {
  return `"${since}"`;
}

/** If-Match, as the times at which the setting may have been set; null = whenever. */
export function settingTimesOf(ifMatch: string | undefined): readonly number[] | null {
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

/** `is`: what stands now, `the mode is drain`. */
export function settingChanged(is: string, { by, since }: Setting, now: number): ProblemError {
  const who = by === '' ? 'nobody has set it' : `${by} set it at ${utcTime(since, now)}`;
  return new ProblemError(
    'precondition-failed',
    `the request was refused because what is set is not what If-Match names: ${is}, ${who}. Look again, and decide anew`,
  );
}

/** A condition that would not be looked at is refused: whoever sends one counts on it. */
export function refuseUnknownIfMatch({ headers, method, routeOptions }: FastifyRequest): void {
  const isKnown = routeOptions.schema?.requestHeaders?.['if-match'] !== undefined;
  if (headers['if-match'] === undefined || method === 'GET' || isKnown) return;
  throw refused('If-Match', 'nothing that has a tag is changed by this request');
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
