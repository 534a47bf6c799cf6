import { type ConnectRateLimits, defaultConnectRates } from './connect-rate.ts';
import { terminalLimits } from '#shared/terminal-protocol.ts';

/** Every bound of the gateway, in one place; tests turn some of them. What a client is promised is in `terminal-protocol.ts`. */
export interface GatewayLimits {
  /** how fast terminals and commands may be opened */
  readonly connectRates: ConnectRateLimits;
  readonly sessionsPerGateway: number;
  readonly sessionsPerUser: number;
  /** sockets on one session, and clients that it remembers for a resume */
  readonly viewersPerSession: number;
  readonly guestsPerSession: number;
  /** how long a session is kept without any socket */
  readonly graceMs: number;
  /** the same of one whose first shell is waited for: it holds its place in the line for a box meanwhile */
  readonly placeGraceMs: number;
  /** output of a session that is kept, so that a client can come back to it */
  readonly ringBytes: number;
  /** the same of all sessions together */
  readonly ringsBytes: number;
  /** what a client that is behind gets of it at a time */
  readonly catchUpBytes: number;
  /** screens that are made anew at a time: each costs some megabytes and up to 50 ms */
  readonly screensAtOnce: number;
  /** line and headers of a request: the words of a command stand in its URL */
  readonly maxRequestHeadBytes: number;
  /** commands without a terminal */
  readonly jobsPerGateway: number;
  readonly jobsPerUser: number;
  /** whether the token of a command that runs may still ask; it is remembered for 5 s more */
  readonly tokenCheckEveryMs: number;
  /** sockets that were upgraded and have not shown a token yet */
  readonly handshakesAtOnce: number;
  readonly helloWithinMs: number;
  readonly pingEveryMs: number;
  /** while a socket is not read, a pong that nobody asked for: its end then shows only by what is written to it */
  readonly heldPongEveryMs: number;
  /** a frame of a raw socket may be this large: xterm.js sends a paste as one */
  readonly maxRawFrameBytes: number;
  /** output that one socket may have waiting in this process before the terminal is paused, and when it goes on */
  readonly bufferedHighBytes: number;
  readonly bufferedLowBytes: number;
  /** the same of a command that has ended, whose output the engine does not keep; a client that is further behind is cut */
  readonly endedOutputBytes: number;
  /** how long a client may take to read what its command has left, and the status */
  readonly statusWithinMs: number;
  /** what may be typed before the shell is there; then the socket is not read further */
  readonly typeAheadBytes: number;
  /** output is sent at once, and what follows within this time is joined up to so many bytes */
  readonly joinMs: number;
  readonly joinBytes: number;
  /** exec starts at once: more only queue inside the engine (50 at once take 2.7 s) */
  readonly startsAtOnce: number;
  readonly leaseTtlMs: number;
  readonly renewEveryMs: number;
  /** how soon a failed renewal is tried again */
  readonly renewRetryMs: number;
  /** input after this long a silence is told to Redis at once, so that an idle reap can see it */
  readonly quietMs: number;
  /** while a client waits for its box, the state is read at least this often, should a wake-up be lost */
  readonly readyPollMs: number;
  /** a checkout is cloned for at most so long */
  readonly checkoutWithinMs: number;
  /** between two starts of a shell that failed, growing from the first to the second */
  readonly restartMinMs: number;
  readonly restartMaxMs: number;
  /** how long a shell that ended badly is looked at, until it is clear whether its box ended with it */
  readonly autopsyMs: number;
  /** a paused terminal is asked this often whether it is ending: one that ends is never paused */
  readonly pausedCheckMs: number;
  readonly registerEveryMs: number;
  readonly registrationTtlMs: number;
  /** token ids that are remembered; they expire within a minute */
  readonly rememberedTokens: number;
  /** ended sessions whose record could not be removed because Redis was down */
  readonly unendedRecords: number;
  /** at the end of a drain, for the closing handshakes */
  readonly goodbyeWithinMs: number;
}

export const defaultLimits: GatewayLimits = {
  connectRates: defaultConnectRates,
  sessionsPerGateway: 2_000,
  sessionsPerUser: 32,
  viewersPerSession: 16,
  guestsPerSession: 32,
  graceMs: 300_000,
  placeGraceMs: 30_000,
  ringBytes: 1024 * 1024,
  ringsBytes: 512 * 1024 * 1024,
  catchUpBytes: 64 * 1024,
  screensAtOnce: 2,
  maxRequestHeadBytes: 128 * 1024,
  jobsPerGateway: 500,
  jobsPerUser: 16,
  tokenCheckEveryMs: 5_000,
  handshakesAtOnce: 256,
  helloWithinMs: terminalLimits.helloWithinMs,
  pingEveryMs: terminalLimits.pingEveryMs,
  heldPongEveryMs: 1_000,
  maxRawFrameBytes: 16 * 1024 * 1024,
  bufferedHighBytes: 1024 * 1024,
  bufferedLowBytes: 256 * 1024,
  endedOutputBytes: 8 * 1024 * 1024,
  statusWithinMs: 3_600_000,
  typeAheadBytes: 64 * 1024,
  joinMs: 4,
  joinBytes: 32 * 1024,
  startsAtOnce: 6,
  leaseTtlMs: 30_000,
  renewEveryMs: 10_000,
  renewRetryMs: 2_000,
  quietMs: 10_000,
  readyPollMs: 1_000,
  checkoutWithinMs: 3_600_000,
  restartMinMs: 250,
  restartMaxMs: 5_000,
  autopsyMs: 2_000,
  pausedCheckMs: 1_000,
  registerEveryMs: 3_000,
  registrationTtlMs: 10_000,
  rememberedTokens: 100_000,
  unendedRecords: 10_000,
  goodbyeWithinMs: 1_000,
};
