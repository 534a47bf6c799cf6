import { createHash, timingSafeEqual } from 'node:crypto';
import { ProblemError } from '#shared/problem.ts';

const whereTheTokenIs = 'send "Authorization: Bearer <SPOON_AGENT_WORKER_INTERNAL_TOKEN>"';

/** A check of the Authorization header that takes the same time whatever is in it. Throws the problem to answer with. */
export function bearerCheck(expected: string): (authorization: string | undefined) => void {
  const wanted = digest(expected);
  return (authorization) => {
    const given = /^bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
    if (given === undefined) {
      throw new ProblemError(
        'token-missing',
        `the request was refused because it carries no token: ${whereTheTokenIs}`,
        {
          headers: { 'www-authenticate': 'Bearer realm="spoonbox"' },
        },
      );
    }
    if (!timingSafeEqual(digest(given), wanted)) {
      throw new ProblemError('token-wrong', `the request was refused because its token is wrong: ${whereTheTokenIs}`, {
        headers: { 'www-authenticate': 'Bearer realm="spoonbox", error="invalid_token"' },
      });
    }
  };
}

/** Digests have one length, which is what `timingSafeEqual` asks for, and tell nothing about the token's own. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
