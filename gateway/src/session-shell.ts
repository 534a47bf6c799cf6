import type { TakenLease } from '#shared/box-store.ts';
import { type Checkout, directoryIn, pathOf } from '#shared/checkout.ts';
import type { Persist } from '#shared/lease.ts';
import type { BoxPast, ReadyStatus } from '#shared/status.ts';
import type { NoticeCode, ServerMessage, TerminalSize } from '#shared/terminal-protocol.ts';
import type { Audience } from './audience.ts';
import { lookAfterEnd } from './autopsy.ts';
import { Ending } from './ending.ts';
import { type Environment, environmentOf } from './environment.ts';
import type { Terminal } from './exec/port.ts';
import { exitOf } from './goodbye.ts';
import type { Hold } from './hold.ts';
import { Pump } from './pump.ts';
import type { SessionOf } from './session.ts';
import { pauseAfter, type StartDeps, startShell } from './start-shell.ts';
import { type WaitDeps, waitReady } from './wait-ready.ts';

/** Where shells begin. */
export interface Place {
  /** below the checkout, or else below the home */
  readonly directory: string | null;
  /** made before a shell starts in it */
  readonly checkout: Checkout | null;
}

/** What a session does for its shell. */
export interface ShellHost {
  readonly audience: Audience;
  readonly lease: Pick<Hold, 'check'>;
  /**
   * One runs, of which nothing was read yet: the audience is to be told. `isSame`: it is the one that ran before; `past`: of the box
   * in which it runs.
   */
  runs(isSame: boolean, past: BoxPast): void;
  output(bytes: Buffer): void;
  /** whether the session is still this gateway's, as far as that can be known */
  isOurs(): Promise<boolean>;
  /** what is waited for */
  status(message: ServerMessage): void;
  notice(code: NoticeCode, message: string): void;
}

interface ReadAhead {
  readonly environment: Environment;
  readonly notices: readonly string[];
}

/** A box as it was seen last. */
export type SeenBox = Pick<TakenLease, 'phase' | 'containerId' | 'past'>;

/**
 * The shell of a session: its box is waited for, it is started, runs, and is looked at when it has ended; where its box died, a new
 * one follows.
 *
 * INVARIANT: at most one of it is this gateway's to end.
 */
export class SessionShell {
  persist: Persist = 'none';
  /** one that another gateway has left is to be gone on with; until then it is not this session's to end */
  resumes = false;
  place: Place;
  readonly #deps: WaitDeps & StartDeps;
  readonly #of: SessionOf;
  readonly #host: ShellHost;
  /** of the last one; '' = there was none */
  #containerId = '';
  #terminal: Terminal | null = null;
  #pump: Pump | null = null;
  /** what is typed after the end of a connection without which the shell may go on; null = it does not */
  #typed: Buffer[] | null = null;
  #waits = false;
  /** read ahead for the next start, and what is to be told of it when it is used: nobody may have come yet */
  #environment: Promise<ReadAhead> | null = null;

  constructor(deps: WaitDeps & StartDeps, of: SessionOf, host: ShellHost) {
    this.#deps = deps;
    this.#of = of;
    this.#host = host;
    this.place = of.place;
  }

  get containerId(): string {
    return this.#containerId;
  }

  get execId(): string {
    return this.#terminal?.execId ?? '';
  }

  /** One was started, and has not ended as far as is known. */
  get isThere(): boolean {
    return this.#terminal !== null;
  }

  /** Its box is not ready yet. */
  get waits(): boolean {
    return this.#waits;
  }

  /** Bytes pass, both ways. */
  get isRunning(): boolean {
    return this.#pump !== null;
  }

  /** Begins to read what a shell that starts now is given. */
  prepare(): void {
    this.#environment = this.#readEnvironment();
  }

  /** From the box as it was seen last to the shell's end. Rejects with an Ending where the session ends first. */
  async run(box: SeenBox, signal: AbortSignal): Promise<Ending> {
    const { audience } = this.#host;
    let { containerId, past } = box;
    let isReady = box.phase === 'ready' && containerId !== '';
    for (let failures = 0, neverThere = 0, resumes = 0; ; ) {
      signal.throwIfAborted();
      if (!isReady) {
        const status = await this.#boxReady(signal);
        ({ containerId } = status);
        past = status;
        // It may have changed while the box was waited for.
        this.#environment = null;
        if (audience.count === 0) return new Ending('ended', { message: 'nobody waited for a new shell' });
      }
      isReady = false; // what the next round finds out by itself
      const { size } = audience;
      const terminal = await this.#start(containerId, size, signal);
      if (terminal === null) {
        failures += 1;
        await pauseAfter(this.#deps, failures, signal);
        continue;
      }
      failures = 0;
      const startedAtMs = this.#deps.clock.monotonicMs();
      await this.#serve(terminal, { containerId, past }, size, signal);
      if (this.persist === 'tmux' && !(await this.#host.isOurs())) throw new Ending('elsewhere');
      const ended = { user: this.#of.user, containerId, terminal, lease: this.#host.lease };
      const found = await lookAfterEnd(this.#deps, ended, signal);
      const livedMs = this.#deps.clock.monotonicMs() - startedAtMs;
      if (found.is === 'outlived') {
        resumes = livedMs < steadyAfterMs ? resumes + 1 : 1;
        if (resumes <= resumesMost) {
          if (resumes > 1) await pauseAfter(this.#deps, resumes - 1, signal);
          isReady = true;
          continue;
        }
        await this.end();
        await audience.finish();
        return exitOf(found.code, livedMs);
      }
      this.#typed = null;
      audience.takeInput();
      if (found.is === 'exited') {
        const exit = exitOf(found.code, livedMs);
        neverThere = exit.exit?.reason === 'not-started' ? neverThere + 1 : 0;
        this.#terminal = null;
        if (neverThere === 0 || neverThere === startsUntilBelieved) {
          await audience.finish();
          return exit;
        }
        this.#host.notice('start-again', `${exit.message}; trying again`);
        await pauseAfter(this.#deps, neverThere, signal);
        continue;
      }
      if (audience.count === 0) return new Ending('ended', { message: `${found.why}, and nobody was attached` });
      this.#host.notice('box-gone', `${found.why}; waiting for a new shell. Only the home survives a box.`);
      await this.end();
    }
  }

  /** False: no more until the audience hears that it takes input. */
  write(bytes: Buffer): boolean {
    if (bytes.length === 0) return true;
    if (this.#pump !== null) return this.#pump.write(bytes);
    // What is typed between two shells was meant for the one that is gone.
    if (this.#typed === null) return true;
    this.#typed.push(bytes);
    return false;
  }

  resize(size: TerminalSize): void {
    this.#pump?.resize(size);
  }

  /** The audience has room again. */
  room(): void {
    this.#pump?.room();
  }

  /** Never rejects. */
  async end(): Promise<void> {
    await this.#hangUp('ours');
  }

  /** What a gateway that is gone has left of a shell which does not outlive it. Never rejects. */
  async endLeft(containerId: string): Promise<void> {
    const { user, id: session } = this.#of;
    await this.#deps.exec.endLeft({ containerId, session }).catch((error: unknown) => {
      this.#deps.log.error({ user, session, error }, 'what another gateway left of a terminal may be left in the box');
    });
  }

  /** Another gateway has the session: a shell that outlives its gateway is left to it, one that does not ends. Never rejects. */
  async letGo(): Promise<void> {
    if (this.persist === 'none') await this.#hangUp('anothers');
    else this.#terminal?.stream.destroy();
  }

  /** True: it goes on for whoever resumes it. Never rejects. */
  async leave(): Promise<boolean> {
    try {
      const goesOn = (await this.#terminal?.leave()) ?? false;
      this.#terminal = null;
      return goesOn;
    } catch (error) {
      this.#deps.log.warn({ user: this.#of.user, error }, 'a terminal could not be left to another gateway');
      return false;
    }
  }

  async #boxReady(signal: AbortSignal): Promise<ReadyStatus> {
    this.#waits = true;
    try {
      return await waitReady(this.#deps, this.#of.user, (message) => this.#host.status(message), signal);
    } finally {
      this.#waits = false;
    }
  }

  /** null: it was told why, and is to be tried again. */
  async #start(containerId: string, size: TerminalSize, signal: AbortSignal): Promise<Terminal | null> {
    const { user, id } = this.#of;
    const { checkout, directory } = this.place;
    const { audience } = this.#host;
    const read = this.#environment ?? this.#readEnvironment();
    this.#environment = null;
    const { environment, notices } = await read;
    const notice = this.#host.notice.bind(this.#host);
    for (const message of notices) notice('vault-unreadable', message);
    const start = {
      containerId,
      session: id,
      size,
      directory: directoryIn(checkout, directory),
      persist: this.persist,
      environment,
    };
    const progress = (line: string): void => {
      const message = checkout === null ? line : `${pathOf(checkout)}: ${line}`;
      this.#host.status({ type: 'status', phase: 'ready', step: null, message, progress: null });
    };
    const resumes = this.resumes || this.#typed !== null;
    const started = await startShell(this.#deps, { user, start, checkout, resumes }, { notice, progress }, signal);
    if (started === null) return null;
    this.resumes = false;
    this.#terminal = started.terminal;
    if (!started.isResumed) this.#typed = null;
    // What clients have is of another gateway's count, or old: their screens are made anew.
    else audience.publish(reset);
    return started.terminal;
  }

  /** The bytes of one shell, until it ends. */
  async #serve(
    terminal: Terminal,
    box: Omit<SeenBox, 'phase'>,
    startedWith: TerminalSize,
    signal: AbortSignal,
  ): Promise<void> {
    const { audience } = this.#host;
    const pump = new Pump(this.#deps, terminal, startedWith, {
      output: (bytes) => this.#host.output(bytes),
      isFull: () => audience.isFull(),
      ending: () => void audience.finish(),
      drained: () => audience.takeInput(),
    });
    this.#pump = pump;
    this.#containerId = box.containerId;
    // Unless it is the same one, nothing is left here of what was typed. It comes before what those type who are told now.
    const typed = this.#typed;
    this.#typed = null;
    for (const bytes of typed ?? []) pump.write(bytes);
    this.#host.runs(typed !== null, box.past);
    audience.takeInput();
    pump.resize(audience.size);
    try {
      await pump.run(signal);
    } finally {
      this.#pump = null;
      this.#typed = this.persist === 'tmux' ? [] : null;
      audience.shellIsGone();
    }
  }

  async #readEnvironment(): Promise<ReadAhead> {
    const notices: string[] = [];
    const environment = await environmentOf(this.#deps, this.#of.user, (message) => notices.push(message));
    return { environment, notices };
  }

  async #hangUp(whose: 'ours' | 'anothers'): Promise<void> {
    const terminal = this.#terminal;
    this.#terminal = null;
    await terminal?.hangUp(whose).catch((error: unknown) => {
      const { user, id: session } = this.#of;
      this.#deps.log.error({ user, session, error }, 'the processes of a terminal may be left in the box');
    });
  }
}

const reset = Buffer.from('\u001bc');
/** So often in a row a shell is resumed whose connection is killed before it has lived so long. */
const resumesMost = 5;
const steadyAfterMs = 10_000;
/** So often nothing could be started before that is believed: an engine or a box that is just ending says the same as an image without a shell. */
const startsUntilBelieved = 3;
