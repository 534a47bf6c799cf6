import { z } from 'zod';
import type { TerminalErrorCode } from './terminal-protocol.ts';

/**
 * How a command is run in a box, on `GET /v1/exec?user=…&command=…&command=…`: a WebSocket as Kubernetes' `exec` has it, so
 * that its clients can be used. They find it at `/api/v1/namespaces/{any}/pods/spoon-box-{user}/exec` too.
 *
 * QUERY. `command` once for each word; `stdin`, `stdout`, `stderr` (true or false; default: output only), `tty` (only false:
 * a terminal is at `/v1/terminal`), `container` (ignored). Ours: `user`, and where the command starts: in the checkout that `spoon` and
 * `branch` name (with `clone`, `ref`, `depth`, `credential` it may be cloned), or else in that of the live lease `lease`, or else that of the
 * terminal token, or else in the home; `directory` is below that. A checkout is made first; what git says meanwhile comes on 2.
 *
 * TOKEN. `Authorization: Bearer` with a token of the API, of role jobs or admin, or a terminal token of mode rw; the same as a subprotocol entry
 * (`base64url.bearer.authorization.k8s.io.<base64url>`, `token.<terminal token>`); a terminal token also as `?token=`.
 *
 * FRAMES. The first byte of a message is its channel. The command gets what comes on channel 0 as it comes, and the end of
 * its input when it is closed (v5: a message of 255 and 0). Its output comes on 1 and 2. After all of it comes one status on 3,
 * and the socket is closed. A client that goes away before ends the command: hang-up, then kill.
 */
export const execPath = '/v1/exec';

/** What is spoken, best first. v4 cannot tell the end of the input. */
export const execProtocols = ['v5.channel.k8s.io', 'v4.channel.k8s.io'] as const;
export type ExecProtocol = (typeof execProtocols)[number];

/** Followed by the token in base64url, as browsers' clients of Kubernetes send it. */
export const bearerProtocolPrefix = 'base64url.bearer.authorization.k8s.io.';

export const channel = { stdin: 0, stdout: 1, stderr: 2, status: 3, resize: 4, close: 255 } as const;

/** Kubernetes' `Status`, as far as it is used here. */
export const ExecStatus = z.looseObject({
  status: z.enum(['Success', 'Failure']),
  message: z.string().default(''),
  /** `NonZeroExitCode`, or one of our codes in capitals: `Reaped`, `TryLater`, … */
  reason: z.string().default(''),
  details: z.looseObject({ causes: z.array(z.looseObject({ reason: z.string(), message: z.string() })) }).optional(),
});
export type ExecStatus = z.infer<typeof ExecStatus>;

const common = { kind: 'Status', apiVersion: 'v1', metadata: {} } as const;

export function exitStatus(code: number): ExecStatus {
  if (code === 0) return { ...common, status: 'Success', message: '', reason: '' };
  return {
    ...common,
    status: 'Failure',
    message: `command terminated with exit code ${code}`,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(code) }] },
  };
}

/** The command has no exit code: it was not run, or was ended. */
export function failureStatus(code: ExecErrorCode, message: string): ExecStatus {
  const reason = code.replaceAll(/(?:^|-)([a-z])/g, (_match, letter: string) => letter.toUpperCase());
  return { ...common, status: 'Failure', message, reason, code: 500 };
}

/** null: the command was not run, or was ended, or its client is told something that is no exit code. */
export function exitCodeOf(status: ExecStatus): number | null {
  if (status.status === 'Success') return 0;
  if (status.reason !== 'NonZeroExitCode') return null;
  const cause = status.details?.causes.find(({ reason }) => reason === 'ExitCode');
  return cause !== undefined && /^\d{1,3}$/.test(cause.message) ? Number(cause.message) : null;
}

/** What a command is refused for, beside what a terminal is: HTTP status and problem details, before there is a WebSocket. */
export const execRefusals = {
  'command-missing': { status: 400, text: 'no command was named' },
  'user-missing': { status: 400, text: 'no user was named' },
  'user-refused': { status: 400, text: 'this names no user' },
  'parameter-refused': { status: 400, text: 'a parameter is not as it must be' },
  'tty-refused': { status: 400, text: 'commands have no terminal; open one instead' },
  'token-wrong': { status: 401, text: 'the token is none that may run commands' },
  'token-read-only': { status: 403, text: 'the token allows to look only' },
  'role-too-low': { status: 403, text: 'the token of the API does not allow to run commands' },
  'token-of-other': { status: 403, text: 'the token is another user’s' },
  'lease-unknown': { status: 409, text: 'the lease that was named is not live' },
  'too-many-jobs': { status: 429, text: 'too many commands run' },
} as const satisfies Readonly<Record<string, { status: number; text: string }>>;

export type ExecRefusal = keyof typeof execRefusals | TerminalErrorCode;
/** Every code of which a status's reason is made. */
export type ExecErrorCode = ExecRefusal | 'box-gone' | 'engine-failed';

export function isExecRefusal(code: string): code is keyof typeof execRefusals {
  return code in execRefusals;
}
