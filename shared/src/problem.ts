import { z } from 'zod';

/**
 * Every refusal of the HTTP API: its stable code, the HTTP status, and what the code means in general. What happened in the
 * one case at hand is in `detail`. Clients decide by `code`, never by a text.
 */
export const problems = {
  'token-missing': { status: 401, title: 'The request carries no bearer token' },
  'token-wrong': { status: 401, title: 'The bearer token is none of this installation, or was revoked' },
  'token-expired': { status: 401, title: 'The bearer token has expired' },
  'login-ended': { status: 401, title: 'The console is not logged in any more' },
  'login-code-wrong': { status: 401, title: 'The login link is not valid, or not any more' },
  'role-too-low': { status: 403, title: 'The role of the token does not allow this' },
  'csrf-refused': { status: 403, title: 'A page of another origin may have sent this' },
  'too-many-requests': { status: 429, title: 'Too many requests in a short time' },
  'token-unknown': { status: 404, title: 'There is no such token' },
  'too-many-tokens': { status: 409, title: 'There are as many tokens as may be' },
  'route-unknown': { status: 404, title: 'There is no such route' },
  'url-invalid': { status: 400, title: 'The URL cannot be read' },
  'user-invalid': { status: 400, title: 'This is no user name' },
  'request-invalid': { status: 400, title: 'A parameter or the body does not have the agreed form' },
  'body-not-json': { status: 400, title: 'The body is not JSON' },
  'body-too-large': { status: 413, title: 'The body is too large' },
  'media-type-unsupported': { status: 415, title: 'The body is of a type that is not read here' },
  'ttl-refused': { status: 422, title: 'The time to live is out of bounds' },
  'class-unknown': { status: 422, title: 'There is no such class' },
  'box-unknown': { status: 404, title: 'Nothing is known of this user' },
  'leftover-changed': { status: 409, title: 'What was listed to be cleared has changed, or is gone' },
  'leftover-in-use': { status: 409, title: 'Somebody uses what was to be cleared' },
  'lease-unknown': { status: 404, title: 'There is no such lease' },
  'lease-ended': { status: 410, title: 'The lease has ended' },
  'lease-mismatch': { status: 409, title: 'The lease belongs to another holder or is of another kind' },
  'class-held': { status: 409, title: 'The box is held with another class' },
  'name-differs-by-case': { status: 409, title: 'The name differs from a known one only by case' },
  'too-many-leases': { status: 429, title: 'The user holds too many leases' },
  'precondition-failed': { status: 412, title: 'What is desired has changed since it was read' },
  'vault-entry-unknown': { status: 404, title: 'The vault holds no such entry' },
  'vault-full': { status: 409, title: 'The vault has no room for it' },
  'vault-path-conflict': { status: 409, title: 'One path of the vault would be a file and a directory' },
  'vault-no-key': { status: 503, title: 'No encryption key is configured for the vault' },
  'vault-key-missing': { status: 503, title: 'The vault is encrypted under a key that is not configured' },
  'vault-damaged': { status: 500, title: 'An entry of the vault was changed or moved since it was encrypted' },
  'backup-of-another': { status: 409, title: 'The backup is of another installation' },
  'backup-too-new': { status: 422, title: 'The backup is of a newer Spoonbox' },
  'selector-invalid': { status: 400, title: 'The selector cannot be understood' },
  'continue-invalid': { status: 400, title: 'This is no place in the list to go on from' },
  'wish-refused': { status: 409, title: 'The action is refused' },
  'box-not-running': { status: 409, title: 'The box does not run' },
  'redis-unavailable': { status: 503, title: 'The state store does not answer' },
  'engine-unavailable': { status: 503, title: 'The container engine does not answer' },
  'not-ready': { status: 503, title: 'The controller is not ready' },
  'shutting-down': { status: 503, title: 'The controller is shutting down' },
  'watch-too-slow': { status: 503, title: 'The watch was read too slowly' },
  'too-many-watches': { status: 429, title: 'Too many watches are open' },
  'headers-too-large': { status: 431, title: 'The headers are too large' },
  'request-too-slow': { status: 408, title: 'The request did not come whole in time' },
  'request-refused': { status: 400, title: 'The request is refused' },
  internal: { status: 500, title: 'A defect of Spoonbox' },
} as const satisfies Record<string, { status: number; title: string }>;

export type ProblemCode = keyof typeof problems;

/** RFC 9457 problem details, as sent (`application/problem+json`) and as read back by clients. */
export const Problem = z.looseObject({
  type: z.string(),
  code: z.string(),
  title: z.string(),
  status: z.number(),
  /** what was refused, why, and what to do */
  detail: z.string(),
});
export type Problem = z.infer<typeof Problem>;

export const problemMediaType = 'application/problem+json';

/** Members of a problem beyond the common ones. */
export type ProblemExtras = Readonly<Record<string, unknown>>;

export function problemOf(code: ProblemCode, detail: string, extras: ProblemExtras = {}): Problem {
  const { status, title } = problems[code];
  return { ...extras, type: `urn:spoonbox:problem:${code}`, code, title, status, detail };
}

/** Thrown where a request is refused; the API's error handler turns it into the answer. */
export class ProblemError extends Error {
  readonly problem: Problem;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    code: ProblemCode,
    detail: string,
    options: { extras?: ProblemExtras; headers?: Readonly<Record<string, string>>; cause?: unknown } = {},
  ) {
    super(detail, { cause: options.cause });
    this.name = 'ProblemError';
    this.problem = problemOf(code, detail, options.extras);
    this.headers = options.headers ?? {};
  }
}
