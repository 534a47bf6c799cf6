import type { FastifyRequest } from 'fastify';
import { ProblemError } from '#shared/problem.ts';

const csrfHeader = 'x-spoonbox-csrf';
const readingMethods = new Set(['GET', 'HEAD', 'OPTIONS']);

/** A browser adds the cookie to whatever page's request: what changes something must show that a page of ours wrote it. */
export function refuseForeignChange(request: FastifyRequest): void {
  if (readingMethods.has(request.method)) return;
  if (request.headers[csrfHeader] !== '1') {
    throw refused(`a change by cookie needs the header ${csrfHeader}: 1; send it, or use a token`);
  }
  refuseForeignOrigin(request);
}

/** Only browsers send these headers, and no page can write them itself; who sends none is no page. */
export function refuseForeignOrigin({ headers, host }: FastifyRequest): void {
  const { origin } = headers;
  if (origin !== undefined && URL.parse(origin)?.host !== host) {
    throw refused(`it comes from a page of ${origin}, and this is ${host}: use the console at this address`);
  }
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin') {
    throw refused(`the browser says that it comes from another site (${site}): use the console at this address`);
  }
}

function refused(why: string): ProblemError {
  return new ProblemError('csrf-refused', `the request was refused because ${why}`);
}
