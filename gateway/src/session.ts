import type { UserName } from '#shared/identity.ts';
import type { Persist, Session } from '#shared/lease.ts';
import type { NoticeCode, ServerMessage, TerminalSize } from '#shared/terminal-protocol.ts';
import type { TerminalMode } from '#shared/terminal-token.ts';
import { Audience, type AudienceHost } from './audience.ts';
import { lookAfterEnd } from './autopsy.ts';
import type { TerminalClient } from './client.ts';
import { ClientGone, Ending } from './ending.ts';
import type { Terminal } from './exec/port.ts';
import type { StartQueue } from './exec/start-queue.ts';
import { endingOf, exitOf } from './goodbye.ts';
import { Hold } from './hold.ts';
import { IdleWarning } from './idle-warning.ts';
import type { ReapNews } from './last-reap.ts';
import { Pump } from './pump.ts';
import type { Recorder } from './recording/recorder.ts';
import type { Recordings } from './recording/recordings.ts';
import { SessionRecord } from './session-record.ts';
import { pauseAfter, type StartDeps, startShell } from './start-shell.ts';
import { recordedOf, type TerminalSettings } from './terminal-settings.ts';
import type { Guest } from './tickets.ts';
import { type WaitDeps, waitReady } from './wait-ready.ts';

export interface SessionDeps extends WaitDeps, StartDeps {
  /** screens that are drawn at a time */
  readonly screens: StartQueue;
  /** this gateway's id */
  readonly gateway: string;
  /** how terminals of a class behave */
  readonly terminalOf: (className: string) => TerminalSettings;
  /** null: nothing is recorded here */
  readonly recordings: Pick<Recordings, 'open'> | null;
  /** tells users what became of the box before */
  readonly news: ReapNews;
}

/** What a session is made for. */
export interface SessionOf {
  readonly user: UserName;
  readonly id: string;
  /** of who opens it */
  readonly mode: TerminalMode;
  readonly directory: string | null;
  /** asked for beside what the class asks for */
  readonly record: 'output' | 'input' | null;
  /** the client has seen output of it: where it is not there any more, that is told */
  readonly isKnown: boolean;
  /** true: take it from another gateway, whatever that one is */
  readonly takeOver: boolean;
}

/**
 * One terminal from its first client to its end: record and lease → ready → shell → bytes; a shell whose box died is followed by
 * a new one. Clients come and go; when the last one has gone, the shell is kept for the grace, and the box is not held by it.
 *
 * INVARIANTS
 * - At most one shell of it runs.
 * - When `run` resolves, the clients were told why and are closed, the shell is gone (or left to another gateway), the lease is
 *   given back and the record is ended, as far as Redis and the engine could be reached.
 */
export class TerminalSession {
  readonly of: SessionOf;
  /** when the last client left, on the monotonic clock; null = somebody is here */
  emptySinceMs: number | null = null;
  readonly #deps: SessionDeps;
  readonly #audience: Audience;
  readonly #hold: Hold;
  readonly #record: SessionRecord;
  readonly #over = new AbortController();
  #persist: Persist = 'none';
  #warning: IdleWarning | null = null;
  #recorder: Recorder | null = null;
  #recorded: TerminalSettings['record'] = 'off';
  /** a shell that another gateway has left is to be gone on with; until then it is not this session's to end */
  #resumes = false;
  #terminal: Terminal | null = null;
  /** of the last shell; '' = there was none */
  #containerId = '';
  #startedAt = 0;
  #pump: Pump | null = null;
  #cancelGrace: () => void = () => {};
  #stopWatching: () => void = () => {};
  #lastStatus: ServerMessage | null = null;
  #lastNotice = '';

  constructor(deps: SessionDeps, of: SessionOf, size: TerminalSize) {
    const { user, id, mode } = of;
    const holder = `terminal of ${user}${mode === 'ro' ? ' (read-only)' : ''}`;
    this.of = of;
    this.#deps = deps;
    this.#audience = new Audience(deps, this.#audienceHost(), size);
    this.#record = new SessionRecord(deps, () => this.end(new Ending('elsewhere')));
    this.#hold = new Hold(
      deps,
      { user, session: id, holder, gateway: deps.gateway },
      { ended: (ending) => this.end(ending), renewed: (at) => this.#warning?.renewed(at) },
    );
  }

  get isOver(): boolean {
    return this.#over.signal.aborted;
  }

  /** The guest whose ticket this is; null where there is none. */
  redeem(hash: string): Guest | null {
    return this.#audience.redeem(hash);
  }

  welcome(of: { mode: TerminalMode; name: string; received: number | null }): Guest {
    return this.#audience.welcome(of);
  }

  /** A socket comes. `has`: how far it has the session's output; null = it has none. Throws an Ending where there is no place. */
  attach(client: TerminalClient, guest: Guest, has: number | null): void {
    const wasEmpty = this.emptySinceMs !== null;
    this.#audience.enter(client, guest, has);
    this.#cancelGrace();
    this.emptySinceMs = null;
    this.#hold.attach();
    if (this.#pump === null && this.#lastStatus) client.tell(this.#lastStatus);
    if (this.#pump !== null && wasEmpty) this.#putRecord();
  }

  end(ending: Ending | ClientGone): void {
    if (!this.isOver) this.#over.abort(ending);
  }

  /** After Redis may have lost it. */
  recordAgain(): void {
    this.#record.again();
  }

  /** From the first client to the end; false where the record is left over because Redis does not answer. Never rejects. */
  async run(): Promise<boolean> {
    let ending: Ending | ClientGone;
    try {
      ending = await this.#live();
    } catch (error) {
      ending = endingOf(error);
      if (ending.cause !== undefined) this.#deps.log.error({ user: this.of.user, error }, 'a terminal failed');
    }
    this.end(ending);
    const staysForOthers = ending instanceof Ending && ending.close === 'restarting' && this.#persist === 'tmux';
    this.#audience.dismiss(ending, staysForOthers);
    return await this.#close(ending);
  }

  async #live(): Promise<Ending> {
    const signal = this.#over.signal;
    let { phase, containerId } = await this.#begin();
    for (let failures = 0, neverThere = 0; ; ) {
      signal.throwIfAborted();
      if (phase !== 'ready' || containerId === '') {
        containerId = await waitReady(this.#deps, this.of.user, (message) => this.#status(message), signal);
        if (this.#audience.count === 0) return new Ending('ended', { message: 'nobody waited for a new shell' });
      }
      phase = 'absent'; // what the next round finds out by itself
      const { size } = this.#audience;
      const terminal = await this.#start(containerId);
      if (terminal === null) {
        failures += 1;
        await pauseAfter(this.#deps, failures, signal);
        continue;
      }
      failures = 0;
      const startedAtMs = this.#deps.clock.monotonicMs();
      await this.#serve(terminal, containerId, size);
      if (this.#persist === 'tmux' && !(await this.#record.isOurs())) throw new Ending('elsewhere');
      const { user } = this.of;
      const found = await lookAfterEnd(this.#deps, { user, containerId, terminal, lease: this.#hold }, signal);
      if (found.is === 'exited') {
        const exit = exitOf(found.code, this.#deps.clock.monotonicMs() - startedAtMs);
        neverThere = exit.exit?.reason === 'not-started' ? neverThere + 1 : 0;
        this.#terminal = null;
        if (neverThere === 0 || neverThere === startsUntilBelieved) {
          await this.#audience.finish();
          return exit;
        }
        this.#notice('start-again', `${exit.message}; trying again`);
        await pauseAfter(this.#deps, neverThere, signal);
        continue;
      }
      if (this.#audience.count === 0) return new Ending('ended', { message: `${found.why}, and nobody was attached` });
      this.#notice('box-gone', `${found.why}; waiting for a new shell. Only the home survives a box.`);
      await this.#endShell();
    }
  }

  /** The session is this gateway's, and the box is held for it. */
  async #begin(): Promise<{ phase: string; containerId: string }> {
    const { user, takeOver } = this.of;
    this.#stopWatching = this.#deps.feed.watch(user, () => void this.#hold.check());
    // At once, because each is a way to Redis and back. Whatever one of them got is given back by `#close`.
    const [claimed, taken] = await Promise.allSettled([this.#claim(takeOver), this.#hold.first()]);
    const before = claimed.status === 'fulfilled' ? claimed.value : null;
    if (before?.persist === 'tmux') {
      this.#resumes = true;
      this.#audience.knows(before.tickets);
    }
    if (taken.status === 'rejected') throw taken.reason;
    if (claimed.status === 'rejected') throw claimed.reason;
    const settings = this.#deps.terminalOf(taken.value.class);
    this.#persist = this.#resumes ? 'tmux' : settings.persist;
    const { clock } = this.#deps;
    const tell = (message: ServerMessage): void => this.#audience.tell(message);
    this.#warning = new IdleWarning({ clock, attachedIdleMs: settings.attachedIdleMs, tell });
    this.#recorded = recordedOf(recordedOf(settings.record, this.of.record), before?.record ?? null);
    if (this.#recorded !== 'off' && this.#deps.recordings) {
      const input = this.#recorded === 'input';
      this.#recorder = this.#deps.recordings.open({ user, session: this.of.id, size: this.#audience.size, input });
    }
    this.#over.signal.throwIfAborted();
    return taken.value;
  }

  async #claim(takeOver: boolean): Promise<Session | null> {
    try {
      return await this.#record.claim(this.#asRecord(), takeOver);
    } catch (error) {
      if (error instanceof Ending) throw error;
      this.#deps.log.warn({ user: this.of.user, error }, 'no session for a terminal: Redis does not answer');
      throw new Ending('try-later', { message: 'the state store does not answer; try again later' });
    }
  }

  /** null: it was told why, and is to be tried again. */
  async #start(containerId: string): Promise<Terminal | null> {
    const { user, id, directory } = this.of;
    const { size } = this.#audience;
    const start = { containerId, session: id, size, directory, persist: this.#persist };
    const notice = this.#notice.bind(this);
    const started = await startShell(this.#deps, { user, start, resumes: this.#resumes }, notice, this.#over.signal);
    if (started === null) return null;
    this.#resumes = false;
    this.#terminal = started.terminal;
    // What clients have is of another gateway's count: their screens are made anew.
    if (started.isResumed) this.#audience.publish(reset);
    return started.terminal;
  }

  /** The bytes of one shell, until it ends. */
  async #serve(terminal: Terminal, containerId: string, startedWith: TerminalSize): Promise<void> {
    const pump = new Pump(this.#deps, terminal, startedWith, {
      output: (bytes) => {
        if (this.emptySinceMs === null) this.#hold.output();
        this.#audience.publish(bytes);
        this.#recorder?.output(bytes);
      },
      isFull: () => this.#audience.isFull(),
      ending: () => void this.#audience.finish(),
      drained: () => this.#audience.takeInput(),
    });
    this.#pump = pump;
    this.#containerId = containerId;
    const isFirst = this.#startedAt === 0;
    this.#lastNotice = '';
    this.#lastStatus = null;
    this.#startedAt = this.#hold.redisNow();
    this.#audience.shellRuns(containerId);
    if (isFirst && this.of.isKnown && this.#persist === 'none') {
      this.#notice('session-lost', 'the shell of this terminal is no more; this is a new one');
    }
    if (isFirst) void this.#tellLastReap();
    if (this.#audience.count === 0) this.#beginGrace();
    else this.#putRecord();
    pump.resize(this.#audience.size);
    try {
      await pump.run(this.#over.signal);
    } finally {
      this.#pump = null;
      this.#audience.shellIsGone();
    }
  }

  /** Who comes to a new box is told what became of the one before. */
  async #tellLastReap(): Promise<void> {
    try {
      const record = await this.#deps.store.read(this.of.user);
      const notice = this.#deps.news.next(record, record.now);
      if (notice !== null) this.#notice('last-reap', notice);
    } catch (error) {
      this.#deps.log.debug({ user: this.of.user, error }, 'what became of the last box is not known');
    }
  }

  #audienceHost(): AudienceHost {
    return {
      user: this.of.user,
      id: this.of.id,
      signal: this.#over.signal,
      input: (bytes) => this.#input(bytes),
      sized: (size) => {
        this.#pump?.resize(size);
        this.#recorder?.resize(size);
      },
      greeted: (client) => {
        const warning = this.#warning?.current();
        if (warning) client.tell(warning);
        if (this.#persist === 'tmux') this.#putRecord();
      },
      room: () => this.#pump?.room(),
      deserted: (reason, isDone) => {
        if (this.isOver) return;
        if (isDone) this.end(new ClientGone(reason.message, true));
        else this.#beginGrace();
      },
      end: (ending) => this.end(ending),
    };
  }

  #beginGrace(): void {
    const { clock, limits } = this.#deps;
    this.emptySinceMs = clock.monotonicMs();
    this.#hold.detach();
    this.#warning?.stop();
    this.#putRecord();
    this.#cancelGrace = clock.after(limits.graceMs, () => {
      const minutes = Math.round(limits.graceMs / 60_000);
      this.end(new Ending('ended', { message: `nobody came back within ${minutes} min` }));
    });
  }

  /** False: no more until the shell has taken it. */
  #input(bytes: Buffer): boolean {
    this.#hold.input();
    this.#recorder?.input(bytes);
    // What is typed between two shells was meant for the one that is gone.
    return this.#pump === null || bytes.length === 0 || this.#pump.write(bytes);
  }

  #asRecord(): Session {
    const { user, id, mode } = this.of;
    const isEmpty = this.emptySinceMs !== null;
    return {
      id,
      user,
      gateway: this.#deps.gateway,
      containerId: this.#containerId,
      execId: this.#terminal?.execId ?? '',
      mode,
      startedAt: this.#startedAt,
      persist: this.#persist,
      detachedAt: isEmpty ? this.#hold.redisNow() : 0,
      record: this.#recorded,
      tickets: this.#persist === 'tmux' ? this.#audience.tickets() : [],
    };
  }

  #putRecord(): void {
    this.#record.put(this.#asRecord());
  }

  /** Whatever happens, everything that can be given back is. */
  async #close(ending: Ending | ClientGone): Promise<boolean> {
    this.#stopWatching();
    this.#cancelGrace();
    this.#warning?.stop();
    const goesElsewhere = ending instanceof Ending && ending.close === 'elsewhere';
    const isDrained = ending instanceof Ending && ending.close === 'restarting';
    let goesOn = goesElsewhere || this.#resumes;
    if (goesElsewhere) this.#terminal?.stream.destroy();
    else if (!goesOn && isDrained && this.#persist === 'tmux') goesOn = await this.#leaveShell();
    const [, ended] = await Promise.all([
      Promise.all([this.#hold.close(), this.#recorder?.close()]),
      goesOn ? this.#leaveRecord() : this.#endRecordAfterShell(ending),
    ]);
    return ended;
  }

  async #leaveRecord(): Promise<boolean> {
    await this.#record.leave(this.#resumes ? this.#hold.redisNow() : null);
    return true;
  }

  async #endRecordAfterShell(ending: Ending | ClientGone): Promise<boolean> {
    await this.#endShell();
    return await this.#record.end(`terminal ${this.of.id} ended: ${ending.message}`);
  }

  async #leaveShell(): Promise<boolean> {
    const terminal = this.#terminal;
    this.emptySinceMs ??= this.#deps.clock.monotonicMs();
    this.#putRecord();
    try {
      const goesOn = (await terminal?.leave()) ?? false;
      this.#terminal = null;
      return goesOn;
    } catch (error) {
      this.#deps.log.warn({ user: this.of.user, error }, 'a terminal could not be left to another gateway');
      return false;
    }
  }

  async #endShell(): Promise<void> {
    const terminal = this.#terminal;
    this.#terminal = null;
    await terminal?.hangUp().catch((error: unknown) => {
      const { user, id: session } = this.of;
      this.#deps.log.error({ user, session, error }, 'the processes of a terminal may be left in the box');
    });
  }

  #status(message: ServerMessage): void {
    this.#lastStatus = message;
    this.#audience.tell(message);
  }

  #notice(code: NoticeCode, message: string): void {
    if (message === this.#lastNotice) return;
    this.#lastNotice = message;
    this.#audience.tell({ type: 'notice', code, message });
  }
}

const reset = Buffer.from('\u001bc');
/** So often nothing could be started before that is believed: an engine or a box that is just ending says the same as an image without a shell. */
const startsUntilBelieved = 3;
