import type { FastifyRequest } from 'fastify';
import { ProblemError } from '#shared/problem.ts';

export const cookieName = 'spoonbox_session';

/** What a request shows of who sends it; nothing of it is believed yet. */
export type Credential =
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'cookie'; readonly cookie: string };

/** A bearer token wins over a cookie; another scheme is a proxy's business, and nothing to us. null: it shows nothing. */
export function credentialOf(request: FastifyRequest): Credential | null {
  const token = /^bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1];
  if (token !== undefined) return { kind: 'token', token };
  const cookie = cookieOf(request);
  return cookie === null ? null : { kind: 'cookie', cookie };
}

/** null: there is none. */
export function cookieOf({ server, headers }: FastifyRequest): string | null {
  return (headers.cookie && server.parseCookie(headers.cookie)[cookieName]) || null;
}

export type CredentialRefusal = 'token-missing' | 'token-wrong' | 'token-expired' | 'login-ended';

const whereTokensAre =
  'send "Authorization: Bearer <token>", with SPOON_AGENT_WORKER_INTERNAL_TOKEN or a token that `spoonbox api-token create` made';
const whereLinksAre = 'open a new link, which `spoonbox console` prints';

const details: Readonly<Record<CredentialRefusal, string>> = {
  'token-missing': `the request was refused because it carries no token: ${whereTokensAre}`,
  'token-wrong': `the request was refused because its token is wrong, or was revoked: ${whereTokensAre}`,
  'token-expired': 'the request was refused because its token has expired: make a new one, `spoonbox api-token create`',
  'login-ended': `the console is not logged in any more: ${whereLinksAre}`,
};

export function refusedCredential(code: CredentialRefusal): ProblemError {
  const wrong = code === 'token-wrong' || code === 'token-expired';
  const challenge = `Bearer realm="spoonbox"${wrong ? ', error="invalid_token"' : ''}`;
  return new ProblemError(code, details[code], { headers: { 'www-authenticate': challenge } });
}

export function refusedCode(): ProblemError {
  const detail = `the login link was used, is older than 5 minutes, or was never made: ${whereLinksAre}`;
  return new ProblemError('login-code-wrong', detail);
}
