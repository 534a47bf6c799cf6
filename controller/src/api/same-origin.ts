import type { FastifyRequest } from 'fastify';
import { ProblemError } from '#shared/problem.ts';

const csrfHeader = 'x-spoonbox-csrf';
const readingMethods = new Set(['GET', 'HEAD', 'OPTIONS']);

/** A browser adds the cookie to whatever page's request: what changes something must show that a page of ours wrote it. */
export function refuseForeignChange(request: FastifyRequest, publicUrl: string): void {
  if (readingMethods.has(request.method)) return;
  if (request.headers[csrfHeader] !== '1') {
    throw refused(`a change by cookie needs the header ${csrfHeader}: 1; send it, or use a token`);
  }
  refuseForeignOrigin(request, publicUrl);
}

/**
 * Only browsers send these headers, and no page can write them itself; who sends none is no page. A page of ours is of the host that
 * the request was sent to, or of the public URL: a proxy may tell that host without its port.
 */
export function refuseForeignOrigin({ headers, host }: FastifyRequest, publicUrl: string): void {
  const { origin } = headers;
  if (origin !== undefined && URL.parse(origin)?.host !== host && origin !== new URL(publicUrl).origin) {
    throw refused(`it comes from a page of ${origin}, and this is ${publicUrl}: use the console there`);
  }
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin') {
    throw refused(`the browser says that it comes from another site (${site}): use the console at this address`);
  }
}

function refused(why: string): ProblemError {
  return new ProblemError('csrf-refused', `the request was refused because ${why}`);
}
