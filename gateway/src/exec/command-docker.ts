import type { Duplex } from 'node:stream';
import type Docker from 'dockerode';
import { z } from 'zod';
import { type Clock, sleep } from '#shared/clock.ts';
import { engineCall, engineErrorOf } from '#shared/docker.ts';
import { EngineError } from '#shared/faults.ts';
import type { Logger } from '#shared/log.ts';
import type { BoxCommands, RunningCommand, StartCommand } from './command-port.ts';
import { endMarked, isGone } from './end-marked.ts';
import { openExecStream } from './exec-stream.ts';
import { Leftovers } from './leftovers.ts';
import type { ProcessState } from './port.ts';

const callTimeoutMs = 10_000;
/** The engine answers a start before the process exists; so long it is waited for before it is ended. */
const processWithinMs = 10_000;
const endAttempts = 3;
const lookEveryMs = { first: 5, most: 200 };

/** A command must be ended, and looked at, whatever else was given up. */
const never = new AbortController().signal;

/**
 * $1 directory below the home ('' = home), then the command. It starts in the home, as terminals do. That it runs by a shell
 * makes its failures alike on all engines: 127 not found, 126 not executable, and the words on stderr.
 */
const startScript = `cd 2>/dev/null
[ -z "$1" ] || cd -- "./$1" 2>/dev/null || { printf '%s is not there below the home\\n' "$1" >&2; exit 126; }
shift; exec "$@"`;

interface Deps {
  readonly docker: Docker;
  readonly clock: Clock;
  readonly leftovers: Leftovers;
  readonly log: Logger;
}

/** Connects at the first use, and again until it succeeds once. */
export function createDockerCommands(options: {
  connect: () => Promise<Docker>;
  clock: Clock;
  log: Logger;
}): BoxCommands {
  const { clock, log } = options;
  const leftovers = new Leftovers(clock, log);
  let connected: Docker | null = null;

  async function engine(): Promise<Docker> {
    try {
      connected ??= await options.connect();
      return connected;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      throw new EngineError({ operation: 'connect', kind: 'unreachable', status: null, message }, { cause: error });
    }
  }

  return {
    async start(start, signal) {
      const deps = { docker: await engine(), clock, leftovers, log };
      const exec = await engineCall(
        'exec-create',
        callTimeoutMs,
        (abortSignal) => deps.docker.getContainer(start.containerId).exec({ ...optionsOf(start), abortSignal }),
        signal,
      );
      const stream = await startOrEnd(deps, start, exec.id);
      const command = new DockerCommand(deps, start, exec.id, stream);
      if (signal.aborted) {
        await command.end();
        throw signal.reason;
      }
      return command;
    },
  };
}

function optionsOf({ command, directory, mark, stdin }: StartCommand): Docker.ExecCreateOptions {
  return {
    Cmd: ['/bin/sh', '-c', startScript, 'spoonbox', directory ?? '', ...command],
    Env: [`SPOONBOX_SESSION=${mark}`],
    AttachStdin: stdin,
    AttachStdout: true,
    AttachStderr: true,
    Tty: false,
  };
}

/** A start is never given up half-way: where it broke off without an answer, whatever it may have started is ended. */
async function startOrEnd(deps: Deps, start: StartCommand, execId: string): Promise<Duplex> {
  try {
    const limit = AbortSignal.timeout(callTimeoutMs);
    return await openExecStream(deps.docker, execId, { Detach: false, Tty: false }, limit);
  } catch (error) {
    const refused = error instanceof EngineError && error.fault.status !== null;
    if (!refused) {
      await endNowOrLater(deps, start).catch((failure: unknown) => {
        deps.log.error({ mark: start.mark, error: failure }, 'a start broke off and what it may have started is left');
      });
    }
    throw engineErrorOf('exec-start', error);
  }
}

function endNowOrLater({ docker, leftovers }: Deps, { containerId, mark }: StartCommand): Promise<void> {
  const of = { containerId, session: mark };
  return leftovers.end(of, () => endMarked(docker, { ...of, spareDaemons: false }));
}

class DockerCommand implements RunningCommand {
  readonly execId: string;
  readonly stream: Duplex;
  readonly #deps: Deps;
  readonly #start: StartCommand;

  constructor(deps: Deps, start: StartCommand, execId: string, stream: Duplex) {
    this.#deps = deps;
    this.#start = start;
    this.execId = execId;
    this.stream = stream;
  }

  async state(): Promise<ProcessState> {
    const [exec, boxRuns] = await Promise.all([this.#inspect(), this.#boxRuns()]);
    return { running: exec?.running ?? false, exitCode: exec?.exitCode ?? null, boxRuns };
  }

  async end(): Promise<void> {
    this.stream.destroy();
    try {
      const exec = await this.#started();
      // An engine that was restarted under its containers has forgotten the exec, and its processes live on.
      if (exec === null ? !(await this.#boxRuns()) : !exec.running) return;
    } catch (error) {
      if (isGone(error)) return;
      this.#deps.log.warn({ mark: this.#start.mark, error }, 'a command cannot be looked at; ending its processes');
    }
    // A process that is just taking the place of its maker carries no mark yet: hence the second look.
    for (let attempt = 0; attempt < endAttempts; attempt += 1) {
      await endNowOrLater(this.#deps, this.#start);
      const exec = await this.#inspect().catch(() => null);
      if (exec === null || !exec.running) return;
    }
    this.#deps.log.error({ mark: this.#start.mark }, 'a command could not be ended; it may be left in the box');
  }

  /** Its state once there is a process: one that is only being made carries no mark yet, and would be missed. */
  async #started(): Promise<ExecState | null> {
    const giveUpAt = this.#deps.clock.monotonicMs() + processWithinMs;
    for (let waitMs = lookEveryMs.first; ; waitMs = Math.min(waitMs * 2, lookEveryMs.most)) {
      const exec = await this.#inspect();
      const known = exec === null || !exec.running || exec.pid > 0;
      if (known || this.#deps.clock.monotonicMs() > giveUpAt) return exec;
      await sleep(this.#deps.clock, waitMs, never);
    }
  }

  /** null: the engine does not know it any more. An exec whose process is not made yet counts as running. */
  async #inspect(): Promise<ExecState | null> {
    try {
      const exec = this.#deps.docker.getExec(this.execId);
      const inspect = (abortSignal: AbortSignal): Promise<unknown> => exec.inspect({ abortSignal });
      const view = ExecView.parse(await engineCall('exec-inspect', callTimeoutMs, inspect, never));
      const running = view.Running || view.ExitCode === null;
      return { running, exitCode: running ? null : view.ExitCode, pid: view.Pid };
    } catch (error) {
      if (isGone(error)) return null;
      throw error;
    }
  }

  async #boxRuns(): Promise<boolean> {
    try {
      const container = this.#deps.docker.getContainer(this.#start.containerId);
      const inspect = (abortSignal: AbortSignal): Promise<unknown> => container.inspect({ abortSignal });
      return ContainerStateView.parse(await engineCall('inspect', callTimeoutMs, inspect, never)).State.Running;
    } catch (error) {
      if (isGone(error)) return false;
      throw error;
    }
  }
}

interface ExecState {
  readonly running: boolean;
  readonly exitCode: number | null;
  /** as the engine's host counts them; 0 = there is no process yet */
  readonly pid: number;
}

const ExecView = z.object({
  Running: z.boolean(),
  ExitCode: z.number().nullable().default(null),
  Pid: z.number().default(0),
});
const ContainerStateView = z.object({ State: z.object({ Running: z.boolean() }) });
