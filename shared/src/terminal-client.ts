import type { Clock } from './clock.ts';
import { ClientRun } from './terminal-client-run.ts';
import type { InputLimits } from './terminal-input.ts';
import type { LinkLimits, OpenSocket } from './terminal-link.ts';
import type { CloseName, ServerMessage, TerminalSize } from './terminal-protocol.ts';
import type { BackoffLimits } from './terminal-retry.ts';

/**
 * A terminal in a box, for browsers and Node: speaks `spoonbox.v1`, and goes on after a lost connection, with every byte once
 * in both directions.
 */
export interface RemoteTerminal {
  /**
   * Types. Resolves when there is room for more; whoever does not wait may have `limits.input.mostBytes` underway. The bytes
   * must not be changed afterwards. An `answer` is what the terminal says by itself when it is asked: it is dropped while
   * what is parsed is a replay, for then nobody asks. What is typed after the end is dropped.
   */
  type(bytes: Uint8Array<ArrayBuffer>, how?: { readonly answer: boolean }): Promise<void>;
  /** False: out of bounds (a hidden page measures NaN), and ignored. */
  resize(size: TerminalSize): boolean;
  /** True while what is parsed makes an earlier screen anew. */
  readonly replaying: boolean;
  /** The network has come back: does not wait for the next attempt. */
  retryNow(): void;
  /** Ends the session for everybody; its `exit` follows. Not for read-only terminals. */
  end(): void;
  /** This client is done: where it was the last one, the session ends. Without a connection it ends when its grace is over. */
  close(): void;
  readonly closed: Promise<Closed>;
}

export interface TerminalOptions {
  /** Called for each connect that has no resume ticket. `session`: the one to go on with, if there was one. */
  getToken(session: string | null, signal: AbortSignal): Promise<TerminalAccess>;
  readonly size: TerminalSize;
  on(event: TerminalEvent): void;
  /** `parsed` is to be called when the terminal has parsed these bytes: the gateway sends on by it. */
  output(bytes: Uint8Array, parsed: () => void): void;
  /** default: the global WebSocket */
  readonly openSocket?: OpenSocket;
  /** A failure (of `getToken` or a socket) that no other attempt can mend. default: none */
  isFinal?(error: Error): boolean;
  readonly limits?: Partial<TerminalClientLimits>;
  readonly clock?: Clock;
  readonly random?: () => number;
}

/** The answer of `POST /v1/boxes/{user}/terminal-tokens`. */
export interface TerminalAccess {
  readonly url: string;
  readonly token: string;
  /** for proxies that send a session to one gateway */
  readonly session?: string;
}

/**
 * What the gateway says, and what becomes of the connection. At `screen` the terminal is to be reset in its place among the
 * bytes (`ESC c` written to it): what follows makes it anew. A `hello` that is `new` after another one is a new shell.
 */
export type TerminalEvent =
  | Exclude<ServerMessage, { type: 'pong' | 'received' }>
  | { readonly type: 'reconnecting'; readonly attempt: number; readonly inMs: number; readonly why: string }
  /** typed while the connection was lost, and dropped: nobody knows whether it has arrived, or its shell is gone */
  | { readonly type: 'input-lost'; readonly bytes: number }
  | Closed;

export interface Closed {
  readonly type: 'closed';
  /** `exit`: the session has ended; `done`: close() or the signal; `refused`; `gave-up`: tried for too long */
  readonly how: 'exit' | 'done' | 'refused' | 'gave-up';
  /** how the gateway closed, where it did */
  readonly name: CloseName | null;
  /** for people */
  readonly message: string;
  readonly error: Error | null;
}

export interface TerminalClientLimits {
  readonly backoff: BackoffLimits;
  /** a connection that lasted for less does not make the next wait short again */
  readonly stableAfterMs: number;
  /** for how long it is tried again, before the first shell and after it; 0 = not at all */
  readonly firstForMs: number;
  readonly againForMs: number;
  /** for `getToken` */
  readonly tokenWithinMs: number;
  /** tokens that may be refused one after the other */
  readonly refusedTokensMost: number;
  readonly link: LinkLimits;
  readonly input: InputLimits;
  /** the rest is acknowledged so long after it was parsed */
  readonly ackTailAfterMs: number;
  readonly closeWithinMs: number;
}

export const terminalClientLimits: TerminalClientLimits = {
  backoff: { minMs: 250, maxMs: 5_000 },
  stableAfterMs: 5_000,
  firstForMs: 60_000,
  againForMs: 60 * 60_000,
  tokenWithinMs: 30_000,
  refusedTokensMost: 2,
  link: { connectWithinMs: 10_000, silentMs: 15_000, answerWithinMs: 10_000 },
  input: { chunkBytes: 64 * 1024, windowBytes: 256 * 1024, mostBytes: 64 * 1024 * 1024 },
  ackTailAfterMs: 50,
  closeWithinMs: 1_000,
};

/** Aborting is `close()`. */
export function openTerminal(options: TerminalOptions, signal: AbortSignal): RemoteTerminal {
  return new ClientRun(options, { ...terminalClientLimits, ...options.limits }, signal);
}
