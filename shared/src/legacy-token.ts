import { createHash } from 'node:crypto';
import { decodeJwt, jwtVerify } from 'jose';
import { z } from 'zod';
import { UserName } from './identity.ts';
import { spoonNames } from './spoon-names.ts';
import { defaultTokenTtlMs, Directory, type TerminalClaims } from './terminal-claims.ts';
import {
  clockToleranceMs,
  keyOf,
  maxTokenLength,
  problemsOf,
  randomId,
  refuse,
  refusalOf,
  type Verified,
} from './terminal-token.ts';

/**
 * Terminal tokens in the shape of Spoon's worker: JWT, HS256, the same secret, other names of claims (`spoonNames`), and neither
 * id, session nor mode. Taken only where SPOON_LEGACY_TOKENS says so: without a pinned issuer and audience, whatever else is
 * signed with this secret and names a user opens that user's terminal.
 *
 * Such a token still passes once, and for a minute: its id is the hash of what is signed, and one that is valid for longer than
 * 60 s is refused; without `iat`, one that is still valid for longer. Each opens a session of its own.
 */
export async function verifyLegacyToken(secret: string, token: string): Promise<Verified> {
  if (token.length > maxTokenLength) return refuse('token-malformed', `longer than ${maxTokenLength} characters`);
  try {
    const claimed = decodeJwt(token);
    const { payload } = await jwtVerify(token, await keyOf(secret), {
      algorithms: ['HS256'],
      clockTolerance: clockToleranceMs / 1_000,
      requiredClaims: ['exp'],
      // Checked where it is there.
      ...(claimed.iss === undefined ? {} : { issuer: [...spoonNames.issuers] }),
      ...(claimed.aud === undefined ? {} : { audience: [...spoonNames.audiences] }),
    });
    const claims = LegacyClaims.safeParse({
      user: firstOf(payload, spoonNames.claims.user),
      directory: firstOf(payload, spoonNames.claims.directory),
      exp: payload.exp,
      iat: payload.iat,
    });
    if (!claims.success) return refuse('token-claims', problemsOf(claims.error));
    const { exp, iat, user, directory } = claims.data;
    const nowS = Date.now() / 1_000;
    if (iat !== undefined && iat > nowS + clockToleranceMs / 1_000) {
      return refuse('token-claims', 'it was signed in the future');
    }
    if ((exp - (iat ?? nowS)) * 1_000 > defaultTokenTtlMs) {
      return refuse('token-claims', `it is valid for longer than ${defaultTokenTtlMs / 1_000} s`);
    }
    const known: TerminalClaims = { user, mode: 'rw', session: randomId(), jti: idOf(token), iat: iat ?? nowS, exp };
    return { ok: true, claims: directory === undefined ? known : { ...known, directory } };
  } catch (error) {
    return refusalOf(error);
  }
}

const LegacyClaims = z.object({
  user: UserName,
  directory: Directory.optional(),
  exp: z.number(),
  iat: z.number().optional(),
});

function firstOf(payload: Readonly<Record<string, unknown>>, names: readonly string[]): unknown {
  const name = names.find((candidate) => payload[candidate] !== undefined);
  return name === undefined ? undefined : payload[name];
}

/** Of head and claims as they were signed: the signature itself may be written in more than one way. */
function idOf(token: string): string {
  const signed = token.slice(0, token.lastIndexOf('.'));
  return `legacy-${createHash('sha256').update(signed).digest('hex')}`;
}
