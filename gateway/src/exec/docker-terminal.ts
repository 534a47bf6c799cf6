import type { Duplex } from 'node:stream';
import type Docker from 'dockerode';
import { z } from 'zod';
import { type Clock, sleep } from '#shared/clock.ts';
import { engineCall } from '#shared/docker.ts';
import { EngineError } from '#shared/faults.ts';
import type { Logger } from '#shared/log.ts';
import type { TerminalSize } from '#shared/terminal-protocol.ts';
import type { ProcessState, StartTerminal, Terminal } from './port.ts';
import { endMarked, isGone } from './end-marked.ts';

const callTimeoutMs = 10_000;
/** How long a hang-up may take to end the shell before it is tried again, and then before its processes are signalled. */
const hangUpWithinMs = 1_000;
const hangUpAttempts = 2;
const lookEveryMs = { first: 5, most: 100 };

/** A shell must be ended, and looked at, whatever else was given up. */
const never = new AbortController().signal;

/** One shell in a box, on the engine's exec. There is no call that ends an exec: see `hangUp`. */
export class DockerTerminal implements Terminal {
  readonly execId: string;
  readonly stream: Duplex;
  readonly #docker: Docker;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #detachKeys: string;
  readonly #start: StartTerminal;

  constructor(
    deps: { docker: Docker; clock: Clock; log: Logger },
    of: { execId: string; stream: Duplex; detachKeys: string; start: StartTerminal },
  ) {
    this.#docker = deps.docker;
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.execId = of.execId;
    this.stream = of.stream;
    this.#detachKeys = of.detachKeys;
    this.#start = of.start;
  }

  async resize(size: TerminalSize): Promise<void> {
    try {
      const resize = (abortSignal: AbortSignal): Promise<unknown> =>
        this.#docker.getExec(this.execId).resize({ h: size.rows, w: size.cols, abortSignal });
      await engineCall('exec-resize', callTimeoutMs, resize, never);
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }

  async state(): Promise<ProcessState> {
    const [exec, boxRuns] = await Promise.all([this.#inspect(this.execId), this.#boxRuns()]);
    return { running: exec?.running ?? false, exitCode: exec?.exitCode ?? null, boxRuns };
  }

  async hangUp(): Promise<void> {
    this.stream.on('error', () => {}); // whatever happens to the connection now, the process is looked at below
    this.stream.resume();
    try {
      for (let attempt = 0; attempt < hangUpAttempts && !this.stream.destroyed; attempt += 1) {
        // Twice, because a ctrl-^ that was typed just before makes the engine take the first one for input.
        this.stream.write(this.#detachKeys);
        if (await this.#endsWithin(this.execId, hangUpWithinMs)) return;
      }
      this.stream.destroy();
      if (await this.#endsWithin(this.execId, 0)) return;
      this.#log.info(
        { session: this.#start.session, execId: this.execId },
        'shell outlived the hang-up; signalling it',
      );
      await endMarked(this.#docker, this.#start.containerId, this.#start.session);
      if (await this.#endsWithin(this.execId, hangUpWithinMs)) return;
      const message = `the processes of session ${this.#start.session} outlived hang-up and kill`;
      throw new EngineError({ operation: 'hang-up', kind: 'timeout', status: null, message });
    } finally {
      this.stream.destroy();
    }
  }

  async #endsWithin(execId: string, withinMs: number): Promise<boolean> {
    const until = this.#clock.monotonicMs() + withinMs;
    for (let waitMs = lookEveryMs.first; ; waitMs = Math.min(waitMs * 2, lookEveryMs.most)) {
      const exec = await this.#inspect(execId);
      if (exec === null || !exec.running || !(await this.#boxRuns())) return true;
      if (this.#clock.monotonicMs() + waitMs > until) return false;
      await sleep(this.#clock, waitMs, never);
    }
  }

  /** null: the engine does not know it any more. An exec whose process is not made yet counts as running. */
  async #inspect(execId: string): Promise<{ running: boolean; exitCode: number | null } | null> {
    try {
      const inspect = (abortSignal: AbortSignal): Promise<unknown> =>
        this.#docker.getExec(execId).inspect({ abortSignal });
      const { Running, ExitCode } = ExecView.parse(await engineCall('exec-inspect', callTimeoutMs, inspect, never));
      return { running: Running || ExitCode === null, exitCode: Running ? null : ExitCode };
    } catch (error) {
      if (isGone(error)) return null;
      throw error;
    }
  }

  async #boxRuns(): Promise<boolean> {
    try {
      const container = this.#docker.getContainer(this.#start.containerId);
      const inspect = (abortSignal: AbortSignal): Promise<unknown> => container.inspect({ abortSignal });
      return ContainerStateView.parse(await engineCall('inspect', callTimeoutMs, inspect, never)).State.Running;
    } catch (error) {
      if (isGone(error)) return false;
      throw error;
    }
  }
}

const ExecView = z.object({ Running: z.boolean(), ExitCode: z.number().nullable().default(null) });
const ContainerStateView = z.object({ State: z.object({ Running: z.boolean() }) });
