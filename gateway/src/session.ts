import { randomBytes } from 'node:crypto';
import { sleep } from '#shared/clock.ts';
import { EngineError } from '#shared/faults.ts';
import { LeaseId } from '#shared/identity.ts';
import { type NoticeCode, terminalLimits } from '#shared/terminal-protocol.ts';
import type { TerminalClaims } from '#shared/terminal-token.ts';
import type { z } from 'zod';
import { lookAfterEnd } from './autopsy.ts';
import type { TerminalClient } from './client.ts';
import { ClientGone, Ending } from './ending.ts';
import type { BoxExec, Terminal } from './exec/port.ts';
import type { StartQueue } from './exec/start-queue.ts';
import { TerminalLease } from './lease.ts';
import { pump } from './pump.ts';
import type { SessionPlace } from './sessions.ts';
import { type WaitDeps, waitReady } from './wait-ready.ts';

export interface SessionDeps extends WaitDeps {
  readonly exec: BoxExec;
  readonly starts: StartQueue;
  /** this gateway's id */
  readonly gateway: string;
}

/**
 * One terminal from its lease to its end: lease → ready → shell → bytes; a shell whose box died is followed by a new one in
 * the same socket. Never rejects. When it resolves, the client was told why and is closed, the shell is gone, the lease is
 * given back and the record is ended, as far as Redis and the engine could be reached.
 *
 * One client per session today; resume, replay and viewers will put a ring and a set of clients in place of `client`.
 */
export async function runSession(
  deps: SessionDeps,
  claims: TerminalClaims,
  client: TerminalClient,
  place: SessionPlace,
): Promise<void> {
  const signal = AbortSignal.any([client.gone, place.signal]);
  const session = new Session(deps, claims, client, place, signal);
  let ending: Ending | ClientGone;
  try {
    ending = await session.run();
  } catch (error) {
    ending = endingOf(error);
    if (ending.cause !== undefined) deps.log.error({ user: claims.user, error }, 'a terminal failed');
  }
  if (ending instanceof Ending) sayGoodbye(client, ending);
  await session.end(ending);
}

class Session {
  readonly #deps: SessionDeps;
  readonly #claims: TerminalClaims;
  readonly #client: TerminalClient;
  readonly #place: SessionPlace;
  readonly #signal: AbortSignal;
  #lease: TerminalLease | null = null;
  #terminal: Terminal | null = null;
  #stopWatching: () => void = () => {};
  #lastNotice = '';

  constructor(
    deps: SessionDeps,
    claims: TerminalClaims,
    client: TerminalClient,
    place: SessionPlace,
    signal: AbortSignal,
  ) {
    this.#deps = deps;
    this.#claims = claims;
    this.#client = client;
    this.#place = place;
    this.#signal = signal;
  }

  async run(): Promise<Ending> {
    const lease = await this.#takeLease();
    let { phase, containerId } = lease.taken;
    for (let failures = 0, neverThere = 0; ; ) {
      this.#signal.throwIfAborted();
      if (phase !== 'ready' || containerId === '') {
        const tell = this.#client.tell.bind(this.#client);
        containerId = await waitReady(this.#deps, this.#claims.user, tell, this.#signal);
      }
      phase = 'absent'; // what the next round finds out by itself
      const size = this.#client.size;
      const terminal = await this.#start(containerId);
      if (terminal === null) {
        failures += 1;
        await this.#pauseAfter(failures);
        continue;
      }
      failures = 0;
      const startedAtMs = this.#deps.clock.monotonicMs();
      const { mode } = this.#claims;
      await pump(this.#deps, { terminal, startedWith: size, client: this.#client, lease, mode }, this.#signal);
      const found = await lookAfterEnd(
        this.#deps,
        { user: this.#claims.user, containerId, terminal, lease },
        this.#signal,
      );
      if (found.is === 'exited') {
        const exit = exitOf(found.code, this.#deps.clock.monotonicMs() - startedAtMs);
        neverThere = exit.exit?.reason === 'not-started' ? neverThere + 1 : 0;
        this.#terminal = null;
        if (neverThere === 0 || neverThere === startsUntilBelieved) return exit;
        this.#notice('start-again', `${exit.message}; trying again`);
        await this.#pauseAfter(neverThere);
        continue;
      }
      this.#notice('box-gone', `${found.why}; waiting for a new shell. Only the home survives a box.`);
      await this.#endShell();
    }
  }

  /** Whatever happens, everything that can be given back is. */
  async end(ending: Ending | ClientGone): Promise<void> {
    this.#stopWatching();
    const { log } = this.#deps;
    const by = `gateway ${this.#deps.gateway}`;
    const released = this.#lease?.release(by).catch((error: unknown) => {
      log.warn({ user: this.#claims.user, error }, 'lease not given back; it expires by itself');
    });
    await Promise.all([released, this.#endShell()]);
    await this.#place.leave(`terminal ${this.#claims.session} ended: ${ending.message}`);
  }

  async #takeLease(): Promise<TerminalLease> {
    const { user, session, mode } = this.#claims;
    // A new id for each socket: what ended one of them must not end the next.
    const id = LeaseId.parse(`terminal:${session}:${randomBytes(6).toString('hex')}`);
    const holder = `terminal of ${user}${mode === 'ro' ? ' (read-only)' : ''}`;
    try {
      this.#lease = await TerminalLease.take(this.#deps, { user, id, holder }, (ending) => this.#place.end(ending));
    } catch (error) {
      if (error instanceof Ending) throw error;
      this.#deps.log.warn({ user, error }, 'no lease for a terminal: Redis does not answer');
      throw new Ending('try-later', { message: 'the state store does not answer; try again later' });
    }
    const lease = this.#lease;
    this.#stopWatching = this.#deps.feed.watch(user, () => void lease.check());
    return lease;
  }

  /** null: not in this container, or not now; it was told, and is to be tried again. */
  async #start(containerId: string): Promise<Terminal | null> {
    const { user, session, directory, mode } = this.#claims;
    const { exec, starts, log } = this.#deps;
    const start = { containerId, session, size: this.#client.size, directory: directory ?? null };
    try {
      this.#terminal = await starts.run(user, () => exec.open(start, this.#signal), this.#signal);
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      log.warn({ user, containerId, error }, 'no shell could be started; trying again');
      const gone = error.fault.kind === 'not-found' || error.fault.kind === 'conflict';
      const why = gone ? 'this box does not run any more' : `the shell could not be started (${error.fault.message})`;
      this.#notice('start-again', `${why}; trying again`);
      return null;
    }
    this.#place.record({
      id: session,
      user,
      gateway: this.#deps.gateway,
      containerId,
      execId: this.#terminal.execId,
      mode,
      startedAt: this.#lease?.redisNow() ?? 0,
    });
    this.#lastNotice = '';
    const { highBytes, lowBytes, ackEveryBytes } = terminalLimits;
    this.#client.tell({ type: 'hello', session, user, mode, containerId, highBytes, lowBytes, ackEveryBytes });
    return this.#terminal;
  }

  async #endShell(): Promise<void> {
    const terminal = this.#terminal;
    this.#terminal = null;
    await terminal?.hangUp().catch((error: unknown) => {
      const { user, session } = this.#claims;
      this.#deps.log.error({ user, session, error }, 'the processes of a terminal may be left in the box');
    });
  }

  async #pauseAfter(failures: number): Promise<void> {
    const { restartMinMs, restartMaxMs } = this.#deps.limits;
    const delayMs = Math.min(restartMaxMs, restartMinMs * 2 ** Math.min(failures - 1, 10));
    await sleep(this.#deps.clock, delayMs, this.#signal);
  }

  #notice(code: z.infer<typeof NoticeCode>, message: string): void {
    if (message === this.#lastNotice) return;
    this.#lastNotice = message;
    this.#client.tell({ type: 'notice', code, message });
  }
}

/** So often nothing could be started before that is believed: an engine or a box that is just ending says the same as an image without a shell. */
const startsUntilBelieved = 3;
/** A shell that says "not found" or "not executable" this soon was never there. */
const notStartedWithinMs = 2_000;

function exitOf(code: number, livedMs: number): Ending {
  const never = (code === 126 || code === 127) && livedMs < notStartedWithinMs;
  const message = never
    ? `nothing could be started in the box (exit code ${code}); the output says why`
    : `the shell has ended with exit code ${code}`;
  return new Ending('ended', { message, exit: { code, reason: never ? 'not-started' : 'exited' } });
}

function sayGoodbye(client: TerminalClient, ending: Ending): void {
  const { message } = ending;
  if (ending.exit) client.tell({ type: 'exit', ...ending.exit, message });
  else client.tell({ type: 'error', code: ending.errorCode, message });
  client.close(ending.close, message);
}

function endingOf(error: unknown): Ending | ClientGone {
  if (error instanceof Ending || error instanceof ClientGone) return error;
  const ending = new Ending('internal');
  ending.cause = error;
  return ending;
}
