import { createHmac, randomBytes } from 'node:crypto';
import { errors, jwtVerify, SignJWT } from 'jose';
import type { z } from 'zod';
import type { Checkout } from './checkout.ts';
import type { UserName } from './identity.ts';
import { defaultTokenTtlMs, TerminalClaims } from './terminal-claims.ts';
import type { TerminalMode } from './terminal-mode.ts';

/**
 * Terminal tokens: who may open one terminal, once, within a minute. JWT, HS256 and nothing else; issuer and audience are
 * pinned, so that no other token made with the same secret passes.
 */

const algorithm = 'HS256';
const issuer = 'spoonbox';
const audience = 'spoonbox-terminal';
/** Clocks of the signer and of the gateway may differ by this much. */
export const clockToleranceMs = 5_000;
export const maxTokenLength = 4_096;

/** `message` may be shown to the client: it says why, and nothing of the secret. */
export type Verified =
  | { readonly ok: true; readonly claims: TerminalClaims }
  | { readonly ok: false; readonly code: TokenRefusal; readonly message: string };

export type TokenRefusal =
  | 'token-malformed' // no JWT at all
  | 'token-algorithm' // not HS256
  | 'token-signature' // made with another secret
  | 'token-expired'
  | 'token-foreign' // issuer or audience of something else
  | 'token-claims'; // signed by us, but it does not say what a terminal token must say

/** Thrown by `signTerminalToken` when a field is refused; the message names it. */
export class TokenFieldError extends Error {
  override name = 'TokenFieldError';
}

export async function signTerminalToken(
  secret: string,
  token: {
    user: UserName;
    mode: TerminalMode;
    /** default: a new random one */
    session?: string | undefined;
    directory?: string | undefined;
    checkout?: Checkout | undefined;
    name?: string | undefined;
    record?: 'output' | 'input' | undefined;
    ttlMs?: number | undefined;
    maxTtlMs?: number | undefined;
  },
): Promise<{ token: string; session: string; jti: string; expiresAt: number }> {
  const maxTtlMs = token.maxTtlMs ?? defaultTokenTtlMs;
  const ttlMs = token.ttlMs ?? Math.min(defaultTokenTtlMs, maxTtlMs);
  if (!Number.isInteger(ttlMs) || ttlMs < 1_000 || ttlMs > maxTtlMs) {
    throw new TokenFieldError(`ttlMs of a terminal token is a whole number from 1000 to ${maxTtlMs}, not ${ttlMs}`);
  }
  const iat = Math.floor(Date.now() / 1_000);
  const parsed = TerminalClaims.safeParse({
    user: token.user,
    mode: token.mode,
    session: token.session ?? randomId(),
    directory: token.directory,
    ...token.checkout,
    name: token.name,
    record: token.record,
    jti: randomId(),
    iat,
    exp: iat + Math.floor(ttlMs / 1_000),
  });
  if (!parsed.success) throw new TokenFieldError(problemsOf(parsed.error));
  const { jti, exp, session } = parsed.data;
  const signed = await new SignJWT(parsed.data)
    .setProtectedHeader({ alg: algorithm, typ: 'JWT' })
    .setIssuer(issuer)
    .setAudience(audience)
    .sign(await keyOf(secret));
  if (signed.length > maxTokenLength) {
    throw new TokenFieldError(`a terminal token has ${maxTokenLength} characters at most: name less in it`);
  }
  return { token: signed, session, jti, expiresAt: exp * 1_000 };
}

export async function verifyTerminalToken(
  secret: string,
  token: string,
  maxTtlMs = defaultTokenTtlMs,
): Promise<Verified> {
  if (token.length > maxTokenLength) return refuse('token-malformed', `longer than ${maxTokenLength} characters`);
  try {
    const { payload } = await jwtVerify(token, await keyOf(secret), {
      algorithms: [algorithm],
      issuer,
      audience,
      clockTolerance: clockToleranceMs / 1_000,
      // Also refuses one signed in the future: it would stay valid for longer than its id is remembered.
      maxTokenAge: maxTtlMs / 1_000,
      requiredClaims: ['exp', 'iat', 'jti'],
    });
    const claims = TerminalClaims.safeParse(payload);
    if (!claims.success) return refuse('token-claims', problemsOf(claims.error));
    if ((claims.data.exp - claims.data.iat) * 1_000 > maxTtlMs) {
      return refuse('token-claims', `it is valid for longer than ${maxTtlMs / 1_000} s`);
    }
    return { ok: true, claims: claims.data };
  } catch (error) {
    return refusalOf(error);
  }
}

/**
 * Tells two secrets apart without telling them: the same on every process with the same secret. 48 bits of an HMAC, of no
 * use to somebody who guesses a long random secret.
 */
export function secretFingerprint(secret: string): string {
  return createHmac('sha256', secret).update('spoonbox terminal secret').digest('hex').slice(0, 12);
}

export function refusalOf(error: unknown): { ok: false; code: TokenRefusal; message: string } {
  if (error instanceof errors.JWTExpired) return refuse('token-expired', 'it has expired; ask for a new one');
  if (error instanceof errors.JOSEAlgNotAllowed) return refuse('token-algorithm', `only ${algorithm} is accepted`);
  if (error instanceof errors.JWSSignatureVerificationFailed) {
    return refuse('token-signature', 'it was made with another secret, or changed');
  }
  if (error instanceof errors.JWTClaimValidationFailed) {
    const foreign = error.claim === 'iss' || error.claim === 'aud';
    return refuse(foreign ? 'token-foreign' : 'token-claims', error.message);
  }
  if (error instanceof errors.JOSEError) return refuse('token-malformed', 'it is no JSON Web Token');
  throw error;
}

export function refuse(code: TokenRefusal, why: string): { ok: false; code: TokenRefusal; message: string } {
  return { ok: false, code, message: `the terminal token is refused: ${why}` };
}

export function problemsOf(error: z.ZodError): string {
  return error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; ');
}

let lastKey: { readonly secret: string; readonly key: Promise<CryptoKey> } | null = null;

/** As WebCrypto has it. Kept, because to make one is a way to another thread and back; a process has one secret. */
export function keyOf(secret: string): Promise<CryptoKey> {
  if (lastKey?.secret !== secret) {
    const bytes = new TextEncoder().encode(secret);
    const key = crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign', 'verify']);
    lastKey = { secret, key };
  }
  return lastKey.key;
}

export function randomId(): string {
  return `s${randomBytes(16).toString('base64url')}`;
}
