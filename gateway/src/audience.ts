import type { UserName } from '#shared/identity.ts';
import type { StoredTicket } from '#shared/lease.ts';
import { type ServerMessage, type TerminalSize, terminalLimits } from '#shared/terminal-protocol.ts';
import type { Clock } from '#shared/clock.ts';
import type { Logger } from '#shared/log.ts';
import { withoutAnswers } from './answers.ts';
import type { TerminalClient } from './client.ts';
import { ClientGone, Ending } from './ending.ts';
import type { StartQueue } from './exec/start-queue.ts';
import { endingOf, sayGoodbye } from './goodbye.ts';
import type { GatewayLimits } from './limits.ts';
import type { GatewayMeter } from './metrics/gateway-meter.ts';
import { ModeTracker } from './modes.ts';
import { Ring } from './ring.ts';
import type { RingBudget } from './ring-budget.ts';
import { drawScreen } from './screen.ts';
import { type Guest, Guests, type NewGuest } from './tickets.ts';
import { type Begin, type Seen, Viewer, type ViewerHost } from './viewer.ts';

export interface AudienceDeps {
  readonly clock: Clock;
  readonly limits: GatewayLimits;
  readonly log: Logger;
  /** screens that are drawn at a time */
  readonly screens: StartQueue;
  readonly rings: RingBudget;
  readonly meter: GatewayMeter;
}

/** What the session does for those who look at it. */
export interface AudienceHost {
  readonly user: UserName;
  readonly id: string;
  readonly signal: AbortSignal;
  /** Input to the shell; false: its sender is not to be read on. */
  input(bytes: Buffer): boolean;
  sized(size: TerminalSize): void;
  /** somebody was brought up to date, and has a new ticket */
  greeted(client: TerminalClient): void;
  /** the shell may be read on */
  room(): void;
  /** the last one has left; `isDone`: and does not come back */
  deserted(reason: Ending | ClientGone, isDone: boolean): void;
  end(ending: Ending): void;
}

const tellEveryMs = 100;

/**
 * Everybody at one session, and what they see: the output, its ring, the size.
 *
 * The terminal has the size of the `rw` viewer who typed or came last: a phone that lies on a table does not make the desk's
 * screen small. The others are told, and show it as it is.
 *
 * INVARIANTS
 * - No viewer waits for another: the shell is held only while all of them are full.
 * - Without viewers the shell is not held; what it says goes into the ring.
 */
export class Audience {
  readonly #deps: AudienceDeps;
  readonly #host: AudienceHost;
  readonly #viewerHost: ViewerHost;
  readonly #modes = new ModeTracker();
  readonly #ring: Ring;
  readonly #guests: Guests;
  readonly #viewers = new Set<Viewer>();
  /** what those that wait for the shell have of the output already */
  readonly #has = new Map<Viewer, Seen>();
  readonly #toldReadOnly = new WeakSet<Viewer>();
  /** of the shell that runs; null = none does */
  #containerId: string | null = null;
  #lastContainerId = '';
  #typist: Viewer | null = null;
  #cancelTell: (() => void) | null = null;
  #wereMany = false;
  #size: TerminalSize;

  constructor(deps: AudienceDeps, host: AudienceHost, size: TerminalSize) {
    this.#size = size;
    this.#deps = deps;
    this.#host = host;
    this.#ring = new Ring(deps.limits.ringBytes, (bytes) => this.#modes.look(bytes), deps.rings);
    this.#guests = new Guests(deps.limits.guestsPerSession);
    this.#viewerHost = {
      ring: this.#ring,
      screen: () => deps.screens.run(`${host.user}/${host.id}`, () => this.#draw(), host.signal),
      input: (from, bytes) => this.#input(from, bytes),
      resized: (viewer) => this.#resized(viewer),
      end: (viewer) => {
        if (viewer.guest.mode === 'ro') return;
        const message = `ended by ${viewer.guest.name}`;
        host.end(new Ending('ended', { message, exit: { code: null, reason: 'ended' } }));
      },
      failed: (viewer, error) => {
        deps.meter.dropped('failed');
        const ending = endingOf(error);
        const { user } = host;
        if (ending.cause !== undefined) deps.log.error({ user, error }, 'a client could not be served');
        this.#left(viewer, ending);
      },
      behind: () => {
        deps.meter.viewersBehind += 1;
      },
      room: () => host.room(),
    };
  }

  get size(): TerminalSize {
    return this.#size;
  }

  get count(): number {
    return this.#viewers.size;
  }

  welcome(of: NewGuest): Guest {
    return this.#guests.welcome(of);
  }

  /** The guest whose ticket this is; null where there is none. */
  redeem(hash: string): Guest | null {
    return this.#guests.redeem(hash, this.#deps.clock.monotonicMs(), this.#deps.limits.graceMs);
  }

  /** For the record, from which another gateway resumes the session. */
  tickets(): StoredTicket[] {
    return this.#guests.stored(this.#deps.clock.monotonicMs(), this.#deps.limits.graceMs);
  }

  /** Those whom another gateway let in may come here. */
  knows(tickets: readonly StoredTicket[]): void {
    this.#guests.adopt(tickets, this.#deps.clock.monotonicMs());
  }

  /** A socket comes. Throws an Ending where there is no place. */
  enter(client: TerminalClient, guest: Guest, has: Seen): void {
    const { limits } = this.#deps;
    // Before anybody is sent away: a session that nobody enters must not be left by its last one.
    if (client.gone.aborted) throw client.gone.reason;
    const earlier = [...this.#viewers].filter((other) => other.guest === guest);
    if (this.#viewers.size - earlier.length >= limits.viewersPerSession) {
      throw new Ending('too-many-sessions', { message: `${limits.viewersPerSession} are at this terminal already` });
    }
    for (const other of earlier) this.#remove(other, new ClientGone('this client came back on another socket', false));
    const viewer = new Viewer(this.#viewerHost, client, guest, this.#deps);
    guest.goneAtMs = null;
    client.gone.addEventListener('abort', () => this.#left(viewer, client.gone.reason), { once: true });
    this.#viewers.add(viewer);
    if (guest.mode === 'rw') this.#goesBy(viewer);
    this.#tellWhoIsHere();
    if (this.#containerId === null) this.#has.set(viewer, has);
    else this.#greet(viewer, has);
  }

  /** A shell runs: all are told; where it is the one that ran before, all that came since. */
  shellRuns(containerId: string, isSame: boolean): void {
    this.#containerId = containerId;
    this.#lastContainerId = containerId;
    for (const viewer of this.#viewers) {
      const has = this.#has.get(viewer) ?? null;
      // What a shell before this one has said is no question of this one's.
      if (!isSame || this.#has.has(viewer)) this.#greet(viewer, has === 'first' && this.#ring.end > 0 ? null : has);
      else viewer.goesOn();
    }
    this.#has.clear();
  }

  /** The terminal has this size from now on; all but `by`, who has it already, are told. */
  resize({ cols, rows }: TerminalSize, by: Viewer | null = null): void {
    if (cols === this.#size.cols && rows === this.#size.rows) return;
    this.#size = { cols, rows };
    this.#host.sized(this.#size);
    for (const other of this.#viewers) {
      if (other !== by) other.client.tell({ type: 'size', cols, rows });
    }
  }

  shellIsGone(): void {
    this.#containerId = null;
    this.takeInput();
  }

  publish(bytes: Buffer): void {
    // First to those who look, then to those who may come: a key's echo waits for nothing.
    for (const viewer of this.#viewers) viewer.offer(bytes, this.#ring.end);
    this.#ring.append(bytes);
  }

  /** True: the shell has to wait; the host hears of room. */
  isFull(): boolean {
    if (this.#viewers.size === 0) return false;
    for (const viewer of this.#viewers) if (!viewer.isFull()) return false;
    return true;
  }

  /** The shell has ended: nobody is waited for any more. */
  async finish(): Promise<void> {
    // Who came back when it had just ended gets what it missed, too.
    for (const [viewer, has] of this.#has) this.#greet(viewer, has);
    this.#has.clear();
    await Promise.all([...this.#viewers].map((viewer) => viewer.finish()));
  }

  takeInput(): void {
    for (const { client } of this.#viewers) client.takeInput();
  }

  tell(message: ServerMessage): void {
    for (const { client } of this.#viewers) client.tell(message);
  }

  /** All have to go, but may come back: the session goes on. */
  sendAway(ending: Ending): void {
    for (const viewer of [...this.#viewers]) this.#remove(viewer, ending);
  }

  /** The last words to all. `goesOn`: the session does without this gateway. */
  dismiss(ending: Ending | ClientGone, goesOn: boolean): void {
    this.#cancelTell?.();
    const nowMs = this.#deps.clock.monotonicMs();
    const viewers = [...this.#viewers];
    this.#viewers.clear();
    for (const viewer of viewers) {
      const { client } = viewer;
      viewer.leave(nowMs);
      if (ending instanceof Ending) sayGoodbye(client, ending, goesOn);
      else client.close('ended', ending.message);
    }
    this.#ring.free();
  }

  /** Tells a viewer that the shell runs, and brings it up to date. */
  #greet(viewer: Viewer, has: Seen): void {
    const { id: session, user } = this.#host;
    const { guest, client } = viewer;
    const { highBytes, lowBytes, ackEveryBytes } = terminalLimits;
    const containerId = this.#lastContainerId;
    const tell = (begin: Begin): void => {
      client.tell({
        type: 'hello',
        session,
        user,
        mode: guest.mode,
        containerId,
        viewer: guest.id,
        ...begin,
        received: guest.received,
        ticket: client.acks ? this.#guests.issue(guest, { user, session }) : null,
        graceMs: this.#deps.limits.graceMs,
        ...this.size,
        highBytes,
        lowBytes,
        ackEveryBytes,
      });
      this.#host.greeted(client);
    };
    viewer.begin(has, tell);
  }

  #left(viewer: Viewer, reason: Ending | ClientGone): void {
    if (!this.#viewers.has(viewer)) return;
    this.#remove(viewer, reason);
    if (this.#viewers.size > 0) {
      this.#tellWhoIsHere();
      return;
    }
    const isDone = reason instanceof ClientGone && reason.isDone && viewer.guest.mode === 'rw';
    this.#host.deserted(reason, isDone);
  }

  #remove(viewer: Viewer, reason: Ending | ClientGone): void {
    this.#viewers.delete(viewer);
    this.#has.delete(viewer);
    viewer.leave(this.#deps.clock.monotonicMs());
    if (this.#typist === viewer) {
      this.#typist = null;
      const next = [...this.#viewers].findLast(({ guest }) => guest.mode === 'rw');
      if (next) this.#goesBy(next);
    }
    if (reason instanceof Ending) sayGoodbye(viewer.client, reason);
    else viewer.client.close('replaced', reason.message);
    this.#host.room();
  }

  #input(viewer: Viewer, bytes: Buffer): boolean {
    // Only answers, which a replay had asked for.
    if (bytes.length === 0) return true;
    if (viewer.guest.mode === 'ro') {
      if (this.#toldReadOnly.has(viewer)) return true;
      this.#toldReadOnly.add(viewer);
      viewer.client.tell({ type: 'notice', code: 'read-only', message: 'this terminal is read-only' });
      return true;
    }
    if (this.#typist === viewer) return this.#host.input(bytes);
    // What was asked is answered by one terminal, and answering is no typing.
    const typed = this.#typist === null ? bytes : withoutAnswers(bytes);
    if (typed.length === 0) return true;
    this.#goesBy(viewer);
    return this.#host.input(typed);
  }

  #resized(viewer: Viewer): void {
    if (this.#typist === viewer) this.#goesBy(viewer);
    if (this.#viewers.size > 1) this.#tellWhoIsHere();
  }

  #goesBy(viewer: Viewer): void {
    this.#typist = viewer;
    this.resize(viewer.size, viewer);
  }

  /** Somebody who is alone, and always was, knows that. Not at once: whoever drags a window would flood the others. */
  #tellWhoIsHere(): void {
    if (this.#viewers.size < 2 && !this.#wereMany) return;
    this.#cancelTell ??= this.#deps.clock.after(tellEveryMs, () => {
      this.#cancelTell = null;
      this.#tellNow();
    });
  }

  #tellNow(): void {
    this.#wereMany = this.#viewers.size > 1;
    const now = this.#deps.clock.monotonicMs();
    const viewers = [...this.#viewers].map(({ guest, size, cameAtMs }) => {
      return { id: guest.id, name: guest.name, mode: guest.mode, ...size, forMs: Math.round(now - cameAtMs) };
    });
    this.tell({ type: 'viewers', viewers });
  }

  async #draw(): Promise<{ bytes: Buffer; offset: number }> {
    const { start, end } = this.#ring;
    const output = this.#ring.read(start, end - start) ?? Buffer.alloc(0);
    const of = { output, isCut: start > 0, modes: this.#modes.sequences(), size: this.size };
    return { bytes: await drawScreen(of), offset: end };
  }
}
