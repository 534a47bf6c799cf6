import { createHmac, randomBytes } from 'node:crypto';
import { errors, jwtVerify, SignJWT } from 'jose';
import { z } from 'zod';
import { BranchName, Checkout, Clone, SpoonName } from './checkout.ts';
import { UserName } from './identity.ts';
import { TerminalMode } from './terminal-mode.ts';

/**
 * Terminal tokens: who may open one terminal, once, within a minute. JWT, HS256 and nothing else; issuer and audience are
 * pinned, so that no other token made with the same secret passes.
 */

const algorithm = 'HS256';
const issuer = 'spoonbox';
const audience = 'spoonbox-terminal';
export const defaultTokenTtlMs = 60_000;
/** Clocks of the signer and of the gateway may differ by this much. */
export const clockToleranceMs = 5_000;
export const maxTokenLength = 4_096;

/** The name of a terminal session: it goes into a lease id, an environment variable and a URL as it is. */
export const SessionId = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,47}$/, { error: 'a session id is 1 to 48 of A-Z a-z 0-9 _ -' });

/** Where the shell starts, relative to the home. */
export const Directory = z
  .string()
  .min(1)
  .max(1_024)
  .refine((path) => !path.startsWith('/') && !path.startsWith('~'), { error: 'is relative to the home' })
  .refine((path) => !path.split('/').includes('..'), { error: 'must not contain ".."' })
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused here
  .refine((path) => !/[\u0000-\u001f\u007f]/.test(path), { error: 'must not contain control characters' });

export { TerminalMode };

export const DisplayName = z
  .string()
  .min(1)
  .max(64)
  .regex(/^\P{Cc}*$/u, { error: 'is one line without control characters' });

const Claims = z.object({
  user: UserName,
  /** `ro`: what the client types is dropped */
  mode: TerminalMode,
  session: SessionId,
  /** below the checkout where one is named, else below the home */
  directory: Directory.optional(),
  /** the checkout in which the shell starts; all three as in `Checkout`, see `checkoutIn` */
  spoon: SpoonName.optional(),
  branch: BranchName.optional(),
  clone: Clone.optional(),
  /** who looks, where that is not the user: shown to the others */
  name: DisplayName.optional(),
  /** `output` or `input`: this session is recorded also where its class does not ask for it */
  record: z.enum(['output', 'input']).optional(),
  jti: z.string().regex(/^[A-Za-z0-9._-]{8,100}$/),
  /** seconds since 1970, as in every JWT */
  iat: z.number(),
  exp: z.number(),
});
export const TerminalClaims = Claims.superRefine(({ spoon, branch, clone }, context) => {
  if (spoon === undefined && branch === undefined && clone === undefined) return;
  const checkout = Checkout.safeParse({ spoon, branch, clone });
  for (const { path, message } of checkout.error?.issues ?? []) context.addIssue({ code: 'custom', path, message });
});
export type TerminalClaims = z.infer<typeof TerminalClaims>;

/** The checkout that a token names; null where it names none. */
export function checkoutIn({ spoon, branch, clone }: TerminalClaims): Checkout | null {
  return Checkout.safeParse({ spoon, branch, clone }).data ?? null;
}

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
    .sign(keyOf(secret));
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
    const { payload } = await jwtVerify(token, keyOf(secret), {
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

export function keyOf(secret: string): Uint8Array {
  return new TextEncoder().encode(secret);
}

export function randomId(): string {
  return `s${randomBytes(16).toString('base64url')}`;
}
