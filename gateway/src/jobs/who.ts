import { createHash, timingSafeEqual } from 'node:crypto';
import type { UserName } from '#shared/identity.ts';
import { verifyTerminalToken } from '#shared/terminal-token.ts';
import type { Refusal } from '../refusal.ts';
import type { JobRequest } from './request.ts';

export interface JobSecrets {
  /** bearer token of the API: may run commands in every box; null = it may not here */
  readonly apiToken: string | null;
  /** of terminal tokens */
  readonly tokenSecret: string;
}

/** Who runs a command in whose box. */
export interface Who {
  readonly user: UserName;
  readonly directory: string | null;
  /** to be spent before anything is done; null: not a token that is used once */
  readonly jti: string | null;
}

/** Looks at the token of a request, and changes nothing. */
export async function whoAsks(secrets: JobSecrets, asked: JobRequest): Promise<Who | Refusal> {
  const { credential } = asked;
  if (credential === null) {
    return {
      code: 'token-missing',
      detail: 'send Authorization: Bearer, with the token of the API or a terminal token',
    };
  }
  if (secrets.apiToken !== null && !credential.inUrl && isSame(credential.text, secrets.apiToken)) {
    if (asked.user === null) return { code: 'user-missing', detail: 'say in whose box: user=' };
    return { user: asked.user, directory: asked.directory, jti: null };
  }
  const verified = await verifyTerminalToken(secrets.tokenSecret, credential.text);
  if (!verified.ok) {
    const { code, message } = verified;
    if (code !== 'token-malformed') return { code, detail: message };
    return { code: 'token-wrong', detail: 'it is neither the token of the API nor a terminal token' };
  }
  const { user, mode, directory, jti } = verified.claims;
  if (mode !== 'rw') return { code: 'token-read-only', detail: 'a command needs a terminal token of mode rw' };
  if (asked.user !== null && asked.user !== user) {
    return { code: 'token-of-other', detail: `the token is for ${user}, and the command for ${asked.user}` };
  }
  return { user, directory: asked.directory ?? directory ?? null, jti };
}

/** In the same time whatever the difference: what is compared has one length. */
function isSame(one: string, other: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}
