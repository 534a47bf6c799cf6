import type { Duplex } from 'node:stream';
import type Docker from 'docker-modem';
import { z } from 'zod';
import type { Clock } from '#shared/clock.ts';
import type { Logger } from '#shared/log.ts';
import type { TerminalSize } from '#shared/terminal-protocol.ts';
import { ask } from './ask.ts';
import type { ContainerTurns } from './container-turns.ts';
import { endNowOrLater, isGone } from './end-marked.ts';
import { ExecLook, processTakesMs, looks } from './exec-state.ts';
import type { Leftovers } from './leftovers.ts';
import { callTimeoutMs } from './limits.ts';
import { runScript } from './run-script.ts';
import { endServerCommand, hasServerCommand } from './tmux.ts';
import type { ProcessState, StartTerminal, Terminal } from './port.ts';

/** How soon the engine lets go of a terminal that is hung up; a second try follows. */
const detachWithinMs = 250;
const detachAttempts = 2;
/** How long a shell may take to end after the hang-up, before its processes are signalled. */
const endWithinMs = 1_000;

/** A shell must be ended, and looked at, whatever else was given up. */
const never = new AbortController().signal;

/** What outlived a hang-up; with the shell, all of it. */
type Left = 'nothing' | 'programs' | 'shell';

/** One shell in a box, on the engine's exec. There is no call that ends an exec: see `hangUp`. */
export class DockerTerminal implements Terminal {
  readonly execId: string;
  stream: Duplex;
  readonly #docker: Docker;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #turns: ContainerTurns;
  readonly #leftovers: Leftovers;
  readonly #detachKeys: string;
  readonly #start: StartTerminal;
  readonly #look: ExecLook;
  #exists = false;
  /** the shell was there without this connection, and still this session's */
  #outlived = false;

  constructor(
    deps: { docker: Docker; clock: Clock; log: Logger; turns: ContainerTurns; leftovers: Leftovers },
    of: { execId: string; stream: Duplex; detachKeys: string; start: StartTerminal },
  ) {
    this.#docker = deps.docker;
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#turns = deps.turns;
    this.#leftovers = deps.leftovers;
    this.execId = of.execId;
    this.stream = of.stream;
    this.#detachKeys = of.detachKeys;
    this.#start = of.start;
    this.#look = new ExecLook(deps, { containerId: of.start.containerId, execId: of.execId });
  }

  async resize({ rows, cols }: TerminalSize): Promise<void> {
    try {
      // The engine holds a resize of a process that it is still making for 10 s, and then refuses it. Output proves nothing:
      // the terminal echoes what is typed ahead before its shell is there.
      if (!this.#exists) await this.processExists();
      const query = { h: rows, w: cols };
      await ask(this.#docker, 'exec-resize', { method: 'POST', path: `/exec/${this.execId}/resize`, query });
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }

  state(): Promise<ProcessState> {
    return this.#look.state();
  }

  async outlives(): Promise<boolean> {
    this.#outlived = this.#start.persist === 'tmux' && (await this.#run(hasServerCommand(this.#start.session))) === 0;
    return this.#outlived;
  }

  /**
   * Once the keys are written the engine calls the exec ended with 126, whether its shell is or not: from then on only the
   * list of the container's processes tells. The shell alone is not enough: a hang-up just when it starts a program misses
   * that program.
   */
  async hangUp(whose: 'ours' | 'anothers' = 'ours'): Promise<void> {
    const { containerId, session } = this.#start;
    let left: Left = 'shell';
    this.stream.resume();
    try {
      const exec = await this.#look.started();
      if (exec === null) {
        // With its box; or an engine that was restarted under its containers has forgotten it, and its processes live on.
        if (!(await this.#look.boxRuns())) return;
      } else {
        // One that another gateway has taken over is not ended.
        if (!exec.running && !this.#outlived) return;
        left = (await this.#endServer()) ?? (exec.running ? await this.#hangUpAlone(exec.pid) : 'nothing');
        if (left === 'nothing') return;
      }
    } catch (error) {
      if (isGone(error)) return;
      this.#log.warn({ session, error }, 'a hang-up failed; signalling the processes instead');
    } finally {
      this.stream.destroy();
    }
    if (whose === 'anothers') {
      this.#log.warn({ session, left }, 'processes may have outlived the hang-up of a terminal that is elsewhere now');
      return;
    }
    this.#log.info({ session, left }, 'processes may have outlived the hang-up of their terminal; signalling them');
    // Where the shell obeyed, what ignores HUP was told to outlive it (`nohup`), as on any terminal.
    const spareDaemons = left === 'programs';
    await endNowOrLater({ docker: this.#docker, leftovers: this.#leftovers }, { containerId, session, spareDaemons });
  }

  async leave(): Promise<boolean> {
    const { session } = this.#start;
    try {
      const exec = this.#start.persist === 'tmux' ? await this.#look.started() : null;
      if (exec !== null && (await this.outlives())) {
        this.stream.resume();
        if (exec.running) await this.#hangUpAlone(exec.pid);
        this.stream.destroy();
        return true;
      }
    } catch (error) {
      // Whether it can be resumed shows when that is tried; what cannot is ended then.
      if (this.#start.persist === 'tmux' && !isGone(error)) {
        this.#log.warn(
          { session, error },
          'the engine did not say whether a terminal outlives its gateway; left as it is',
        );
        this.stream.destroy();
        return true;
      }
    }
    await this.hangUp();
    return false;
  }

  /** Resolves once the engine has made the process, or will not. */
  async processExists(): Promise<void> {
    await this.#look.started(processTakesMs);
    this.#exists = true;
  }

  /** null: there is no tmux server that has the shell. Its connection ends with it. */
  async #endServer(): Promise<Left | null> {
    if (this.#start.persist === 'none') return null;
    const passOn = await this.#turns.enter(this.#start.containerId);
    try {
      const exitCode = await this.#run(endServerCommand(this.#start.session, endWithinMs));
      if (exitCode === 0) return 'programs';
      return exitCode === 1 ? 'shell' : null;
    } finally {
      passOn();
    }
  }

  #run(command: string[]): Promise<number | null> {
    const { containerId } = this.#start;
    return runScript(this.#docker, { containerId, command, withinMs: callTimeoutMs }, never);
  }

  /** In a turn of its own: see ContainerTurns. */
  async #hangUpAlone(shellPid: number): Promise<Left> {
    const passOn = await this.#turns.enter(this.#start.containerId);
    try {
      await this.#detach();
      return shellPid > 0 ? await this.#leftOf(shellPid) : 'shell';
    } finally {
      passOn();
    }
  }

  async #detach(): Promise<void> {
    for (let attempt = 0; attempt < detachAttempts && !this.stream.destroyed; attempt += 1) {
      // Twice, because a ctrl-^ that was typed just before makes the engine take the first one for input.
      this.stream.write(this.#detachKeys);
      for await (const _look of looks(this.#clock, detachWithinMs)) {
        if (this.stream.destroyed) return;
      }
    }
  }

  /** What is left of the terminal's processes: those of the session (in the kernel's sense) that its shell leads. */
  async #leftOf(shellPid: number): Promise<Left> {
    const path = `/containers/${this.#start.containerId}/top`;
    // Of exactly the container's processes: the engine adds their ids to the arguments of `ps`.
    const top = { method: 'GET', path, query: { ps_args: '-o pid,sid' } } as const;
    let left: Left = 'shell';
    for await (const _look of looks(this.#clock, endWithinMs)) {
      const { Processes } = ProcessList.parse(await ask(this.#docker, 'top', top));
      const ofTerminal = Processes.filter(([, sessionId]) => Number(sessionId) === shellPid);
      if (ofTerminal.length === 0) return 'nothing';
      left = ofTerminal.some(([pid]) => Number(pid) === shellPid) ? 'shell' : 'programs';
    }
    return left;
  }
}

const ProcessList = z.object({
  Processes: z
    .array(z.array(z.string()))
    .nullable()
    .transform((list) => list ?? []),
});
