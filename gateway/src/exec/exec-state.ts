import type Docker from 'docker-modem';
import { z } from 'zod';
import { type Clock, sleep } from '#shared/clock.ts';
import { ask } from './ask.ts';
import { isGone } from './end-marked.ts';
import type { ProcessState } from './port.ts';

export interface ExecState {
  readonly running: boolean;
  readonly exitCode: number | null;
  /** as the engine's host counts them; 0 = there is no process yet */
  readonly pid: number;
}

/** The engine answers a start before the process exists; so long it is waited for. */
const processWithinMs = 10_000;
const lookEveryMs = { first: 5, most: 200 };
/** So long it takes about: looking earlier takes processor time from the engine that makes it, and from the shell's first bytes. */
export const processTakesMs = 100;

/** A process must be looked at, to end it, whatever else was given up. */
const never = new AbortController().signal;

/** What the engine knows of one exec, and of the box that it is in. */
export class ExecLook {
  readonly #docker: Docker;
  readonly #clock: Clock;
  readonly #of: { readonly containerId: string; readonly execId: string };

  constructor(deps: { docker: Docker; clock: Clock }, of: { containerId: string; execId: string }) {
    this.#docker = deps.docker;
    this.#clock = deps.clock;
    this.#of = of;
  }

  async state(): Promise<ProcessState> {
    const [exec, boxRuns] = await Promise.all([this.inspect(), this.boxRuns()]);
    return { running: exec?.running ?? false, exitCode: exec?.exitCode ?? null, boxRuns };
  }

  /** Its state once there is a process, or will be none any more: one that is only being made can be neither sized nor ended. */
  async started(firstAfterMs = lookEveryMs.first): Promise<ExecState | null> {
    for await (const _look of looks(this.#clock, processWithinMs, firstAfterMs)) {
      const exec = await this.inspect();
      if (exec === null || !exec.running || exec.pid > 0) return exec;
    }
    return await this.inspect();
  }

  /** null: the engine does not know it any more. An exec whose process is not made yet counts as running. */
  async inspect(): Promise<ExecState | null> {
    try {
      const view = ExecView.parse(
        await ask(this.#docker, 'exec-inspect', { method: 'GET', path: `/exec/${this.#of.execId}/json` }),
      );
      const running = view.Running || view.ExitCode === null;
      return { running, exitCode: running ? null : view.ExitCode, pid: view.Pid };
    } catch (error) {
      if (isGone(error)) return null;
      throw error;
    }
  }

  async boxRuns(): Promise<boolean> {
    try {
      const path = `/containers/${this.#of.containerId}/json`;
      return ContainerStateView.parse(await ask(this.#docker, 'inspect', { method: 'GET', path })).State.Running;
    } catch (error) {
      if (isGone(error)) return false;
      throw error;
    }
  }
}

/** Ticks at growing intervals, for `withinMs`; the first time after `firstAfterMs`, because what was just begun takes a moment. */
export async function* looks(clock: Clock, withinMs: number, firstAfterMs = lookEveryMs.first): AsyncGenerator<void> {
  const until = clock.monotonicMs() + withinMs;
  await sleep(clock, firstAfterMs, never);
  for (let waitMs = lookEveryMs.first; ; waitMs = Math.min(waitMs * 2, lookEveryMs.most)) {
    yield;
    if (clock.monotonicMs() > until) return;
    await sleep(clock, waitMs, never);
  }
}

const ExecView = z.object({
  Running: z.boolean(),
  ExitCode: z.number().nullable().default(null),
  Pid: z.number().default(0),
});
const ContainerStateView = z.object({ State: z.object({ Running: z.boolean() }) });
