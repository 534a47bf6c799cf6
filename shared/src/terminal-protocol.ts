import { z } from 'zod';
import { Phase, PullProgress, Step } from './status.ts';
import { TerminalMode } from './terminal-mode.ts';
import type { TokenRefusal } from './terminal-token.ts';

/**
 * `spoonbox.v1`, the protocol between a terminal client and the gateway, on `GET /v1/terminal`.
 *
 * FRAMES. A binary frame is bytes of the terminal, in both directions. A text frame is one JSON control message.
 *
 * OPENING. The client offers the subprotocols `spoonbox.v1` and, where it has it by then, `token.<terminal token>`; only the
 * first is answered. Its first message is `hello`, with the size of its screen and, where it was not offered before, the token
 * or the resume ticket. A `?token=` in the URL is accepted too; prefer the others, because proxies log URLs. `?session=` in the
 * URL is for proxies, which send the sockets of one session to one gateway by it. Who offers the token may say the size in the
 * URL, too (`?cols=` and `&rows=`): the shell of a ready box is then started at once, a round trip before `hello` comes.
 * Where `hello` says another size, it is resized.
 *
 * SESSIONS. A session outlives its sockets: after the last one has gone it is kept for `graceMs`. A socket that is closed by
 * its client with 1000 is done: where no other is left, the session ends at once. A token that names a session which is
 * there joins it. Every server `hello` carries a new `ticket`, which lets one more socket in, instead of a token, in
 * the place of the one that got it; the ticket before it passes until the client has sent anything on the new socket.
 *
 * OFFSETS. Output of a session has absolute byte offsets. The bytes after a server `hello` or `screen` are first `replayBytes`
 * bytes that make a screen anew and count nowhere, then the session's bytes from `offset` on. A client that counts them can
 * come back with its ticket and `offset` and gets exactly the missing ones; where the gateway has them no more, it makes the screen anew.
 * Input is counted too: `received` says how many bytes of this client's have reached the shell's terminal, over all its
 * sockets; what it sent and was not counted is to be sent again after a resume.
 *
 * FLOW. The client acknowledges the bytes that it has parsed (`ack`, of this socket's, replay included), at least every
 * `ackEveryBytes`. The gateway stops sending when more than `highBytes` are unacknowledged, and goes on below `lowBytes`. A client
 * that has fallen behind the session's ring is caught up with a `screen`.
 *
 * A later `hello` on the same socket is a new shell; with another `containerId` it is in a new box, and only the home
 * survived.
 *
 * Without a subprotocol the socket speaks raw bytes (xterm.js's attach addon): see `rawDialect` in `gateway/src/dialect.ts`.
 */
export const terminalProtocol = 'spoonbox.v1';
export const terminalPath = '/v1/terminal';
/** Prefix of the subprotocol entry that carries the token. */
export const tokenProtocolPrefix = 'token.';

export const terminalLimits = {
  /** unacknowledged output above which the terminal is paused, and below which it goes on */
  highBytes: 256 * 1024,
  lowBytes: 64 * 1024,
  ackEveryBytes: 32 * 1024,
  /** input is confirmed after so many bytes, and so long after the last; a client keeps what is not */
  receivedEveryBytes: 32 * 1024,
  receivedWithinMs: 1_000,
  /** a larger frame closes the socket with 1009: split a paste into several */
  maxFrameBytes: 1024 * 1024,
  /** the first message must be there by then */
  helloWithinMs: 10_000,
  /** the gateway pings this often; a socket that stays silent for twice as long is cut */
  pingEveryMs: 20_000,
} as const;

const Cells = z.int().min(1).max(1_000);
export const TerminalSize = z.strictObject({ cols: Cells, rows: Cells });
export type TerminalSize = z.infer<typeof TerminalSize>;
/** Of a terminal that has not said its own. */
export const usualSize: TerminalSize = { cols: 80, rows: 24 };

const Count = z.int().min(0);

/** Client → gateway. A field that is not named here is refused. */
export const ClientMessage = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('hello'),
    token: z.string().max(4_096).optional(),
    /** of an earlier server `hello`, instead of a token */
    ticket: z.string().max(256).optional(),
    /** with a ticket: how far this client has the session's output; with a token: that it has seen the session before */
    offset: Count.optional(),
    ...TerminalSize.shape,
  }),
  z.strictObject({ type: z.literal('resize'), ...TerminalSize.shape }),
  /** `bytes` more were parsed since the last ack */
  z.strictObject({ type: z.literal('ack'), bytes: z.int().min(1) }),
  /** ends the session for everybody; not for read-only clients */
  z.strictObject({ type: z.literal('end') }),
  /** answered by `pong` with the same id: for clients that cannot see WebSocket pings */
  z.strictObject({ type: z.literal('ping'), id: Count.optional() }),
]);
export type ClientMessage = z.infer<typeof ClientMessage>;

export const NoticeCode = z.enum([
  'box-gone', // the box ended under the terminal; a new one is waited for
  'last-reap', // the box is new: when the one before was reaped, and why
  'session-lost', // the session that was asked for is no more; this is a new one
  'start-again', // the shell could not be started in this box; it is tried again
  'state-unreachable', // Redis does not answer; it is tried again
  'read-only', // input is dropped: the token allows to look only
  'kept', // an idle warning is over: the box is kept
  'vault-unreadable', // the shell is without variables of the user's vault: which, and why
  'recorded', // output, or also what is typed, goes into a file
]);
export type NoticeCode = z.infer<typeof NoticeCode>;

export const ExitReason = z.enum([
  'exited', // the shell ended by itself
  'not-started', // nothing could be started in the box; the engine's words are in the output
  'ended', // a client asked for the end
  'reaped', // an operator's reap
  'deleted', // the box was deleted
  'idle', // nothing was typed for so long that the box was reaped
  'released', // somebody gave back the terminal's lease
  'restarting', // the gateway restarts
]);
export type ExitReason = z.infer<typeof ExitReason>;

/** One who is at the session. */
export const Viewer = z.strictObject({
  id: z.string(),
  /** as the token says it, else the user */
  name: z.string(),
  mode: TerminalMode,
  ...TerminalSize.shape,
  /** ms since it came */
  forMs: z.number(),
});
export type Viewer = z.infer<typeof Viewer>;

/** Gateway → client. */
export const ServerMessage = z.discriminatedUnion('type', [
  /** the shell runs; bytes follow */
  z.strictObject({
    type: z.literal('hello'),
    session: z.string(),
    user: z.string(),
    mode: TerminalMode,
    containerId: z.string(),
    /** this client's `id` among the viewers */
    viewer: z.string(),
    /** `new`: a shell that was just started; `exact`: what was missing follows; `screen`: reset the screen, it is made anew */
    start: z.enum(['new', 'exact', 'screen']),
    replayBytes: Count,
    /** of the first byte after the replay */
    offset: Count,
    /** how much input of this client's was received so far; null = unknown (another gateway received it): send nothing again */
    received: Count.nullable(),
    /** for the next socket; null where sessions are not kept */
    ticket: z.string().nullable(),
    /** how long the session is kept without any socket */
    graceMs: z.number(),
    /** what the terminal's size is, as the one who typed last has it */
    ...TerminalSize.shape,
    highBytes: z.number(),
    lowBytes: z.number(),
    ackEveryBytes: z.number(),
  }),
  /** this client fell behind what is kept of the output: reset the screen, it is made anew */
  z.strictObject({ type: z.literal('screen'), replayBytes: Count, offset: Count }),
  /** all input up to here has reached the terminal */
  z.strictObject({ type: z.literal('received'), bytes: Count }),
  /** the terminal was resized for whoever typed last */
  z.strictObject({ type: z.literal('size'), ...TerminalSize.shape }),
  /** who is here, after each change */
  z.strictObject({ type: z.literal('viewers'), viewers: z.array(Viewer) }),
  /** what the box does, while the client waits for it */
  z.strictObject({
    type: z.literal('status'),
    phase: Phase,
    step: Step.nullable(),
    message: z.string(),
    progress: PullProgress.nullable(),
  }),
  z.strictObject({ type: z.literal('notice'), code: NoticeCode, message: z.string() }),
  /** something is about to happen unless the person acts */
  z.strictObject({ type: z.literal('warning'), code: z.enum(['idle-soon']), message: z.string(), inMs: z.number() }),
  /** the session has ended, all output was sent before; `code` is the shell's, null where it has none. A close follows. */
  z.strictObject({ type: z.literal('exit'), code: z.int().nullable(), reason: ExitReason, message: z.string() }),
  /** why the close that follows; `code` is of one of the tables below */
  z.strictObject({
    type: z.literal('error'),
    code: z.string(),
    message: z.string(),
    /** with `elsewhere`: the gateway that has the session */
    address: z.string().optional(),
  }),
  z.strictObject({ type: z.literal('pong'), id: z.number().optional() }),
]);
export type ServerMessage = z.infer<typeof ServerMessage>;

/** Every way in which the gateway itself closes a terminal (bytes that are no frame end with 1002 or 1007). `retry`: connecting again (with a new token) can help. */
export const closeTable = {
  ended: { code: 1000, retry: false, text: 'the shell has ended' },
  'frame-too-big': { code: 1009, retry: false, text: 'a frame is larger than the limit; split it' },
  internal: { code: 1011, retry: true, text: 'the gateway failed; its log says why' },
  restarting: { code: 1012, retry: true, text: 'the gateway restarts; connect again' },
  'try-later': { code: 1013, retry: true, text: 'the gateway cannot open terminals now; try again later' },
  'bad-message': { code: 4400, retry: false, text: 'a message does not follow the protocol' },
  'token-refused': { code: 4401, retry: true, text: 'the token is refused; ask for a new one' },
  'lease-refused': { code: 4403, retry: false, text: 'the box cannot be had; the message says why' },
  'hello-missing': { code: 4408, retry: true, text: 'no hello came in time' },
  elsewhere: { code: 4409, retry: true, text: 'another gateway has this session; connect there' },
  reaped: { code: 4410, retry: true, text: 'an operator reaped the box; only the home survives' },
  deleted: { code: 4411, retry: true, text: 'the box was deleted; only the home survives' },
  idle: { code: 4412, retry: true, text: 'the box was idle too long and is reaped; only the home survives' },
  released: { code: 4413, retry: true, text: 'the lease of this terminal was given back' },
  replaced: { code: 4414, retry: false, text: 'this client came back on another socket' },
  'checkout-failed': { code: 4415, retry: false, text: 'the checkout cannot be used; the message says why' },
  'too-many-sessions': { code: 4429, retry: true, text: 'too many terminals are open' },
  'too-fast': { code: 4430, retry: true, text: 'too many connects in a short time; wait a little' },
} as const;
export type CloseName = keyof typeof closeTable;

interface RefusalEntry {
  readonly status: number;
  readonly text: string;
}

/**
 * What else a terminal is refused for: before there is a WebSocket as problem details with this HTTP status, after that as
 * the `code` of an `error` message.
 */
export const refusalTable = {
  'route-unknown': { status: 404, text: 'there is nothing at this path' },
  'method-refused': { status: 405, text: 'a WebSocket begins with GET' },
  'upgrade-required': { status: 426, text: 'a plain request came where a WebSocket is opened' },
  'protocol-unknown': { status: 400, text: 'none of the offered subprotocols is spoken here' },
  'size-refused': { status: 400, text: 'the size of the screen is out of bounds' },
  'origin-refused': { status: 403, text: 'pages of this origin may not open terminals' },
  'token-missing': { status: 401, text: 'no token was shown' },
  'token-malformed': { status: 401, text: 'the token is no JSON Web Token' },
  'token-algorithm': { status: 401, text: 'the token is signed by another algorithm than HS256' },
  'token-signature': { status: 401, text: 'the token was made with another secret, or changed' },
  'token-expired': { status: 401, text: 'the token has expired; ask for a new one' },
  'token-foreign': { status: 401, text: 'the token was made for something else than a terminal' },
  'token-claims': { status: 401, text: 'the token does not say what a terminal token must say, or lasts too long' },
  'token-used': { status: 401, text: 'the token was used before; ask for a new one' },
  'ticket-refused': { status: 401, text: 'the resume ticket is unknown, used or expired; ask for a token' },
  'name-differs-by-case': { status: 409, text: 'the user name differs from a known one only by case' },
  'lease-mismatch': { status: 409, text: "the terminal's lease is somebody else's" },
  'class-held': { status: 409, text: 'the box is held with another class' },
} as const satisfies Readonly<Record<string, RefusalEntry>> & Readonly<Record<TokenRefusal, RefusalEntry>>;
/** Every `code` that the gateway says. */
export type TerminalErrorCode = CloseName | keyof typeof refusalTable;

/** The table's entry of a close code; null for one that the gateway does not send. */
export function closeNameOf(code: number): CloseName | null {
  for (const [name, entry] of Object.entries(closeTable)) {
    if (entry.code === code && isCloseName(name)) return name;
  }
  return null;
}

export function isCloseName(name: string): name is CloseName {
  return name in closeTable;
}
