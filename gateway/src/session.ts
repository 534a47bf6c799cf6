import type { UserName } from '#shared/identity.ts';
import type { Session } from '#shared/lease.ts';
import type { BoxPast } from '#shared/status.ts';
import { type NoticeCode, type ServerMessage, type TerminalSize, usualSize } from '#shared/terminal-protocol.ts';
import type { TerminalMode } from '#shared/terminal-mode.ts';
import { withoutAnswers } from './answers.ts';
import type { Span } from '#shared/tracing.ts';
import { Audience, type AudienceHost } from './audience.ts';
import type { TerminalClient } from './client.ts';
import { ClientGone, Ending, storeIsSilent } from './ending.ts';
import type { StartQueue } from './exec/start-queue.ts';
import { endingOf } from './goodbye.ts';
import { Grace } from './grace.ts';
import { Hold } from './hold.ts';
import { IdleWarning } from './idle-warning.ts';
import type { ReapNews } from './last-reap.ts';
import { Traffic } from './metrics/traffic.ts';
import type { LeaseDeps } from './lease.ts';
import type { Recordings } from './recording/recordings.ts';
import type { GatewayMeter } from './metrics/gateway-meter.ts';
import type { RingBudget } from './ring-budget.ts';
import { SessionRecord } from './session-record.ts';
import { SessionRecording } from './session-recording.ts';
import { type Place, type SeenBox, SessionShell, type ShellHost } from './session-shell.ts';
import type { StartDeps } from './start-shell.ts';
import type { TerminalSettings } from './terminal-settings.ts';
import type { Guest, NewGuest } from './tickets.ts';
import type { Seen } from './viewer.ts';
import type { WaitDeps } from './wait-ready.ts';

export interface SessionDeps extends WaitDeps, StartDeps, Pick<LeaseDeps, 'random'> {
  /** screens that are drawn at a time */
  readonly screens: StartQueue;
  readonly rings: RingBudget;
  readonly meter: GatewayMeter;
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
  readonly place: Place;
  /** which its first client has said before it comes: its shell may start at once then; null: it waits for the client */
  readonly size: TerminalSize | null;
  /** asked for beside what the class asks for */
  readonly record: 'output' | 'input' | null;
  /** true: take it from another gateway, whatever that one is */
  readonly takeOver: boolean;
  /** from the request of its first client to the first byte of the shell */
  readonly attach: Span;
}

/**
 * One terminal from its first client to its end: record and lease → shell → its end. Clients come and go; when the last one has
 * gone, the shell is kept for the grace, and the box is not held by it. So are the last words of one that exits meanwhile. Before
 * there is a shell it is the place in the line that is kept, for a shorter one.
 *
 * INVARIANTS
 * - At most one shell of it runs.
 * - When `run` resolves, the clients were told why and are closed, the shell is gone (or left to another gateway), the lease is
 *   given back and the record is ended, as far as Redis and the engine could be reached.
 */
export class TerminalSession {
  readonly of: SessionOf;
  readonly #deps: SessionDeps;
  readonly #audience: Audience;
  readonly #grace: Grace;
  readonly #hold: Hold;
  readonly #record: SessionRecord;
  readonly #over = new AbortController();
  readonly #recording: SessionRecording;
  readonly #shell: SessionShell;
  readonly #traffic: Traffic;
  #warning: IdleWarning | null = null;
  /** of the last shell, Redis TIME in ms; 0 = there was none */
  #startedAt = 0;
  /** its shell, by itself: what is left is to tell that */
  #hasExited = false;
  #onAttached: () => void = () => {};
  #stopWatching: () => void = () => {};
  #lastStatus: ServerMessage | null = null;
  #lastNotice = '';
  /** what was to be told before anybody had come */
  #untold: ServerMessage[] = [];
  /** of the box whose shell runs, until somebody has come */
  #past: BoxPast | null = null;
  /** its first byte has come */
  #hasSpoken = false;
  /** clients that are on their way */
  #expected = 0;
  #wasEntered = false;
  /** its first client has seen output of it: where that shell is not there any more, it is told */
  #isKnown = false;
  /** its shell does not wait for its first client, who gets all that it has said by then */
  #isAhead = false;

  constructor(deps: SessionDeps, of: SessionOf) {
    const { user, id, mode } = of;
    const holder = `terminal of ${user}${mode === 'ro' ? ' (read-only)' : ''}`;
    this.of = of;
    this.#deps = deps;
    this.#audience = new Audience(deps, this.#audienceHost(), of.size ?? usualSize);
    this.#grace = new Grace(deps.clock, (message) => {
      if (this.#audience.count === 0) this.end(new Ending('ended', { message }));
    });
    this.#record = new SessionRecord(deps, () => this.end(new Ending('elsewhere')));
    this.#hold = new Hold(
      deps,
      { user, session: id, holder, gateway: deps.gateway },
      {
        ended: (ending) => this.end(ending),
        refused: (ending) => this.#refused(ending),
        renewed: (at) => this.#warning?.renewed(at),
      },
    );
    this.#recording = new SessionRecording(deps.recordings, {
      user,
      session: id,
      size: () => this.#audience.size,
    });
    this.#recording.ask(of.record);
    this.#traffic = new Traffic(deps.meter, deps.clock);
    this.#shell = new SessionShell(deps, of, this.#shellHost());
  }

  get isOver(): boolean {
    return this.#over.signal.aborted;
  }

  /** when the last client left, on the monotonic clock; null = somebody is here */
  get emptySinceMs(): number | null {
    return this.#grace.emptySinceMs;
  }

  /** The guest whose ticket this is; null where there is none. */
  redeem(hash: string): Guest | null {
    return this.#audience.redeem(hash);
  }

  welcome(of: NewGuest): Guest {
    return this.#audience.welcome(of);
  }

  /** Somebody has come to it, and may have gone. */
  get wasEntered(): boolean {
    return this.#wasEntered;
  }

  /** A client is on its way. The answer is called when it has come, or does not: where nobody ever has, the session ends then. */
  expect(): () => void {
    this.#expected += 1;
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      this.#expected -= 1;
      if (!this.#wasEntered && this.#expected === 0) this.end(new ClientGone('its client has not come', true));
    };
  }

  /** The first socket comes. `isKnown`: it has seen output of the session. Throws an Ending where it has gone. */
  enterFirst(client: TerminalClient, of: NewGuest, isKnown: boolean): void {
    if (client.gone.aborted) throw client.gone.reason;
    this.#isKnown = isKnown;
    // Of who looks only, too.
    this.#audience.resize(client.size);
    if (this.#past !== null) this.#tellPast(this.#past);
    this.attach(client, this.welcome(of), this.#isAhead ? 'first' : null);
  }

  /** A socket comes. Throws an Ending where there is no place. */
  attach(client: TerminalClient, guest: Guest, has: Seen): void {
    const wasEmpty = this.emptySinceMs !== null;
    this.#audience.enter(client, guest, has);
    this.#wasEntered = true;
    this.#grace.stop();
    // Only for the last words of a shell no box is held, or made.
    if (!this.#hasExited) this.#hold.attach();
    this.#onAttached();
    if (this.#lastStatus) client.tell(this.#lastStatus);
    this.#tellUntold(client);
    if (this.#shell.isRunning && wasEmpty) this.#putRecord();
  }

  /** Somebody who is let in asks for it. */
  record(what: SessionOf['record']): void {
    if (!this.#recording.ask(what) || !this.#shell.isRunning) return;
    const notice = this.#recording.notice();
    if (notice) this.#audience.tell(notice);
    this.#putRecord();
  }

  end(ending: Ending | ClientGone): void {
    if (!this.isOver) this.#over.abort(ending);
  }

  /** Somebody asks for a shell who has not seen this one: where only its last words are left, they do not keep the place. */
  giveWay(): void {
    const isLeft = this.#wasEntered && this.#audience.count === 0;
    if (this.#hasExited && isLeft) this.end(new ClientGone('a new shell is asked for', true));
  }

  /** After Redis may have lost it. */
  recordAgain(): void {
    this.#record.again();
  }

  /** From the first client to the end; false where the record is left over because Redis does not answer. Never rejects. */
  async run(): Promise<boolean> {
    let ending: Ending | ClientGone;
    try {
      ending = await this.#shell.run(await this.#begin(), this.#over.signal);
      if (ending.exit) await this.#tellLastWords();
    } catch (error) {
      ending = endingOf(error);
      if (ending.cause !== undefined) this.#deps.log.error({ user: this.of.user, error }, 'a terminal failed');
    }
    this.end(ending);
    this.of.attach.end(ending.message);
    const staysForOthers = ending instanceof Ending && ending.close === 'restarting' && this.#shell.persist === 'tmux';
    this.#audience.dismiss(ending, staysForOthers);
    return await this.#close(ending);
  }

  /**
   * The shell has exited: all who are here get the rest of its output. Where nobody is, that and its exit code wait for who
   * comes back first, until the grace is over; not where nobody has a ticket.
   */
  async #tellLastWords(): Promise<void> {
    const { signal } = this.#over;
    this.#hasExited = true;
    for (;;) {
      signal.throwIfAborted();
      if (this.#audience.count === 0) {
        if (this.#wasEntered && this.#audience.tickets().length === 0) return;
        await this.#attached(signal);
      }
      await this.#audience.finish();
      // Else it was cut while it was told.
      if (this.#audience.count > 0) return;
    }
  }

  #attached(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const onOver = (): void => reject(signal.reason);
      signal.addEventListener('abort', onOver, { once: true });
      this.#onAttached = () => {
        signal.removeEventListener('abort', onOver);
        resolve();
      };
    });
  }

  /** The session is this gateway's, and the box is held for it. */
  async #begin(): Promise<SeenBox> {
    const { user, takeOver } = this.of;
    this.#stopWatching = this.#deps.feed.watch(user, () => void this.#hold.check());
    // All at once, because each is a way to Redis and back. Whatever one of them got is given back by `#close`.
    this.#shell.prepare();
    const [claimed, taken] = await Promise.allSettled([
      this.#claim(takeOver),
      this.#hold.first(this.of.attach.traceparent),
    ]);
    const before = claimed.status === 'fulfilled' ? claimed.value : null;
    const { directory = null, checkout = null } = before ?? {};
    // A ticket names no place.
    if (this.of.takeOver) this.#shell.place = { directory, checkout };
    if (before?.persist === 'tmux') {
      this.#shell.resumes = true;
      this.#audience.knows(before.tickets);
    } else if (before !== null) {
      // One that was killed just after it had started a shell has not recorded where: then it is where a shell would be now.
      const now = taken.status === 'fulfilled' ? taken.value.containerId : '';
      const containerId = before.containerId || now;
      if (containerId !== '') await this.#shell.endLeft(containerId);
    }
    if (taken.status === 'rejected') throw taken.reason;
    if (claimed.status === 'rejected') throw claimed.reason;
    // Not one that another gateway has left: its client has seen part of it.
    this.#isAhead = this.of.size !== null && before === null && taken.value.phase === 'ready';
    if (!this.#wasEntered && !this.#isAhead) await this.#attached(this.#over.signal);
    const settings = this.#deps.terminalOf(taken.value.class);
    this.#shell.persist = this.#shell.resumes ? 'tmux' : settings.persist;
    const { clock } = this.#deps;
    const tell = (message: ServerMessage): void => this.#audience.tell(message);
    this.#warning = new IdleWarning({ clock, attachedIdleMs: settings.attachedIdleMs, tell });
    this.#recording.ask(settings.record);
    // A lease that is taken from now on does not change a terminal that is open.
    this.#recording.ask(taken.value.record);
    this.#recording.ask(before?.record ?? null);
    this.#recording.begin();
    this.#over.signal.throwIfAborted();
    return taken.value;
  }

  async #claim(takeOver: boolean): Promise<Session | null> {
    try {
      return await this.#record.claim(this.#asRecord(), takeOver);
    } catch (error) {
      if (error instanceof Ending) throw error;
      this.#deps.log.warn({ user: this.of.user, error }, 'no session for a terminal: Redis does not answer');
      throw storeIsSilent();
    }
  }

  #shellHost(): ShellHost {
    return {
      audience: this.#audience,
      lease: this.#hold,
      runs: (isSame, past) => this.#shellRuns(isSame, past),
      output: (bytes) => {
        if (this.emptySinceMs === null) this.#hold.output();
        if (!this.#hasSpoken) this.#speaks();
        this.#audience.publish(bytes);
        this.#recording.output(bytes);
        // Last, so that no byte waits for a count.
        this.#traffic.output(bytes.length);
      },
      isOurs: () => this.#record.isOurs(),
      status: (message) => {
        this.#lastStatus = message;
        this.#audience.tell(message);
      },
      notice: (code, message) => this.#notice(code, message),
    };
  }

  #speaks(): void {
    this.#hasSpoken = true;
    this.of.attach.end();
  }

  #shellRuns(isSame: boolean, past: BoxPast): void {
    const isFirst = this.#startedAt === 0;
    this.#startedAt = this.#hold.redisNow();
    this.#lastNotice = '';
    if (!isSame) this.#traffic.newShell();
    this.#lastStatus = null;
    this.#audience.shellRuns(this.#shell.containerId, isSame);
    if (isFirst && this.#wasEntered) this.#tellPast(past);
    else if (isFirst) this.#past = past;
    this.#putRecord();
  }

  /** Who comes to a new shell is told that the one before is lost, and to a new box, what became of that one. */
  #tellPast(past: BoxPast): void {
    if (this.#isKnown && this.#shell.persist === 'none') {
      this.#notice('session-lost', 'the shell of this terminal is no more; this is a new one');
    }
    const notice = this.#deps.news.next(this.of.user, past, this.#hold.redisNow());
    if (notice !== null) this.#notice('last-reap', notice);
  }

  #audienceHost(): AudienceHost {
    return {
      user: this.of.user,
      id: this.of.id,
      signal: this.#over.signal,
      input: (bytes) => this.#input(bytes),
      sized: (size) => {
        this.#shell.resize(size);
        this.#recording.resize(size);
      },
      greeted: (client) => {
        this.#tellUntold(client);
        const warning = this.#warning?.current();
        if (warning) client.tell(warning);
        const recorded = this.#recording.notice();
        if (recorded) client.tell(recorded);
        if (this.#shell.persist === 'tmux') this.#putRecord();
      },
      room: () => this.#shell.room(),
      deserted: (reason, isDone) => {
        if (this.isOver) return;
        const isFirst = this.#startedAt === 0;
        if (isFirst && this.#shell.waits && !isDone) {
          // The lease stays: with it would go the place in the line for a box.
          this.#grace.begin(this.#deps.limits.placeGraceMs);
        } else if (isFirst || isDone) {
          // Before the first shell there is nothing to come back to.
          this.end(new ClientGone(reason.message, true));
        } else {
          this.#grace.begin(this.#deps.limits.graceMs);
          this.#standsEmpty();
        }
      },
      end: (ending) => this.end(ending),
    };
  }

  /** Those who came back may not hold the box. Their shell is not ended by that: its grace goes on as if nobody had come. */
  #refused(ending: Ending): void {
    if (this.isOver) return;
    if (!this.#shell.isThere || !this.#grace.goOn()) {
      this.end(ending);
      return;
    }
    this.#audience.sendAway(ending);
    this.#standsEmpty();
  }

  #standsEmpty(): void {
    this.#hold.detach();
    this.#warning?.stop();
    this.#putRecord();
  }

  /** False: no more until the shell has taken it. */
  #input(bytes: Buffer): boolean {
    const takesMore = this.#shell.write(bytes);
    // After it, so that no key waits for a count. A terminal that answers what a program asks is no sign of a person.
    if (withoutAnswers(bytes).length > 0) this.#hold.input();
    this.#traffic.input(bytes.length);
    this.#recording.input(bytes);
    return takesMore;
  }

  #asRecord(): Session {
    const { user, id, mode } = this.of;
    const { directory, checkout } = this.#shell.place;
    const isEmpty = this.emptySinceMs !== null;
    return {
      id,
      user,
      gateway: this.#deps.gateway,
      containerId: this.#shell.containerId,
      execId: this.#shell.execId,
      mode,
      startedAt: this.#startedAt,
      persist: this.#shell.persist,
      detachedAt: isEmpty ? this.#hold.redisNow() : 0,
      record: this.#recording.asked,
      ...(directory !== null && { directory }),
      ...(checkout !== null && { checkout }),
      tickets: this.#shell.persist === 'tmux' ? this.#audience.tickets() : [],
    };
  }

  #putRecord(): void {
    this.#record.put(this.#asRecord());
  }

  /** Whatever happens, everything that can be given back is. */
  async #close(ending: Ending | ClientGone): Promise<boolean> {
    this.#stopWatching();
    this.#grace.close();
    this.#warning?.stop();
    const [ended] = await Promise.all([this.#endShellAndRecord(ending), this.#hold.close(), this.#recording.close()]);
    return ended;
  }

  async #endShellAndRecord(ending: Ending | ClientGone): Promise<boolean> {
    const close = ending instanceof Ending ? ending.close : null;
    if (close === 'elsewhere') await this.#shell.letGo();
    const goesOn = this.#shell.resumes || (close === 'restarting' && (await this.#leaveShell()));
    if (close === 'elsewhere' || goesOn) {
      await this.#record.leave(this.#shell.resumes ? this.#hold.redisNow() : null);
      return true;
    }
    await this.#shell.end();
    return await this.#record.end(`terminal ${this.of.id} ended: ${ending.message}`);
  }

  async #leaveShell(): Promise<boolean> {
    // One that nobody has seen, nobody comes back to.
    if (this.#shell.persist === 'none' || !this.#wasEntered) return false;
    this.#putRecord();
    return await this.#shell.leave();
  }

  /** Before the output of the shell. */
  #tellUntold(client: TerminalClient): void {
    for (const message of this.#untold.splice(0)) client.tell(message);
  }

  #notice(code: NoticeCode, message: string): void {
    if (message === this.#lastNotice) return;
    this.#lastNotice = message;
    const notice: ServerMessage = { type: 'notice', code, message };
    if (this.#wasEntered) this.#audience.tell(notice);
    else this.#untold.push(notice);
  }
}
