import { idOfApiToken } from '#shared/api-token.ts';
import type { Checkout } from '#shared/checkout.ts';
import type { UserName } from '#shared/identity.ts';
import type { Logger } from '#shared/log.ts';
import { checkoutIn } from '#shared/terminal-claims.ts';
import { verifyTerminalToken } from '#shared/terminal-token.ts';
import { type Checked, internalBearer, mayDo, type TokenCheck } from '#shared/token-check.ts';
import { storeIsSilent } from '../ending.ts';
import type { Refusal } from '../refusal.ts';
import type { JobRequest } from './request.ts';

export interface JobSecrets {
  /** of the API: those of role jobs may run commands in every box */
  readonly apiTokens: TokenCheck;
  /** of terminal tokens */
  readonly tokenSecret: string;
}

/** Who runs a command in whose box. */
export interface Who {
  readonly user: UserName;
  readonly directory: string | null;
  /** of its token */
  readonly checkout: Checkout | null;
  /** to be spent before anything is done; null: not a token that is used once */
  readonly jti: string | null;
  /** the token of the API, which may be revoked while the command runs; null: none that can be */
  readonly apiToken: string | null;
}

/** Looks at the token of a request, and changes nothing. Throws an Ending where Redis has to be asked and does not answer. */
export async function whoAsks(secrets: JobSecrets, asked: JobRequest, log: Logger): Promise<Who | Refusal> {
  const { credential } = asked;
  if (credential === null) {
    return {
      code: 'token-missing',
      detail: 'send Authorization: Bearer, with a token of the API or a terminal token',
    };
  }
  const ofApi = credential.inUrl ? null : await check(secrets.apiTokens, credential.text, log);
  if (ofApi?.ok) {
    const { name, role } = ofApi.bearer;
    if (!mayDo(role, 'jobs')) return { code: 'role-too-low', detail: `it needs the role jobs, and ${name} is ${role}` };
    if (asked.user === null) return { code: 'user-missing', detail: 'say in whose box: user=' };
    const apiToken = ofApi.bearer === internalBearer ? null : credential.text;
    return { user: asked.user, directory: asked.directory, checkout: null, jti: null, apiToken };
  }
  if (ofApi && idOfApiToken(credential.text) !== null) {
    if (ofApi.refused === 'token-expired')
      return { code: 'token-expired', detail: 'the token has expired; make a new one' };
    return { code: 'token-wrong', detail: 'it is no token of this installation, or was revoked' };
  }
  const verified = await verifyTerminalToken(secrets.tokenSecret, credential.text);
  if (!verified.ok) {
    const { code, message } = verified;
    if (code !== 'token-malformed') return { code, detail: message };
    return { code: 'token-wrong', detail: 'it is neither a token of the API nor a terminal token' };
  }
  const { user, mode, directory, jti } = verified.claims;
  if (mode !== 'rw') return { code: 'token-read-only', detail: 'a command needs a terminal token of mode rw' };
  if (asked.user !== null && asked.user !== user) {
    return { code: 'token-of-other', detail: `the token is for ${user}, and the command for ${asked.user}` };
  }
  const checkout = checkoutIn(verified.claims);
  return { user, directory: asked.directory ?? directory ?? null, checkout, jti, apiToken: null };
}

async function check(tokens: TokenCheck, text: string, log: Logger): Promise<Checked> {
  try {
    return await tokens.check(text);
  } catch (error) {
    log.warn({ error }, 'a token could not be looked up: Redis does not answer');
    throw storeIsSilent();
  }
}
