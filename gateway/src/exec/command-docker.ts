import type { Duplex } from 'node:stream';
import type Docker from 'docker-modem';
import type { Clock } from '#shared/clock.ts';
import type { Logger } from '#shared/log.ts';
import { environmentLines } from '../environment.ts';
import type { BoxCommands, RunningCommand, StartCommand } from './command-port.ts';
import { connectOnce } from './connect-once.ts';
import { endNowOrLater, isGone } from './end-marked.ts';
import { ExecLook } from './exec-state.ts';
import { Leftovers } from './leftovers.ts';
import type { ProcessState } from './port.ts';
import type { ExecOptions } from './exec-calls.ts';
import { startExec } from './start-exec.ts';

const endAttempts = 3;

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

export function createDockerCommands(options: {
  connect: () => Promise<Docker>;
  clock: Clock;
  log: Logger;
}): BoxCommands {
  const { clock, log } = options;
  const leftovers = new Leftovers(clock, log);
  const engine = connectOnce(options.connect);

  return {
    async start(start, signal) {
      const deps = { docker: await engine(), clock, leftovers, log };
      const started = await startExec(
        deps.docker,
        log,
        {
          containerId: start.containerId,
          create: optionsOf(start),
          start: { Detach: false, Tty: false },
          endStarted: () => endOf(deps, start),
        },
        signal,
      );
      const command = new DockerCommand(deps, start, started.execId, started.stream);
      if (signal.aborted) {
        await command.end();
        throw signal.reason;
      }
      return command;
    },
  };
}

function optionsOf({ command, directory, environment, mark, stdin }: StartCommand): ExecOptions {
  return {
    Cmd: ['/bin/sh', '-c', startScript, 'spoonbox', directory ?? '', ...command],
    Env: environmentLines(environment, { SPOONBOX_SESSION: mark }),
    AttachStdin: stdin,
    AttachStdout: true,
    AttachStderr: true,
    Tty: false,
  };
}

function endOf(deps: Deps, { containerId, mark }: StartCommand): Promise<void> {
  return endNowOrLater(deps, { containerId, session: mark, spareDaemons: false });
}

class DockerCommand implements RunningCommand {
  readonly execId: string;
  readonly stream: Duplex;
  readonly #deps: Deps;
  readonly #start: StartCommand;
  readonly #look: ExecLook;

  constructor(deps: Deps, start: StartCommand, execId: string, stream: Duplex) {
    this.#deps = deps;
    this.#start = start;
    this.execId = execId;
    this.stream = stream;
    this.#look = new ExecLook(deps, { containerId: start.containerId, execId });
  }

  state(): Promise<ProcessState> {
    return this.#look.state();
  }

  async end(): Promise<void> {
    this.stream.destroy();
    try {
      // A process that is only being made carries no mark yet, and would be missed.
      const exec = await this.#look.started();
      // An engine that was restarted under its containers has forgotten the exec, and its processes live on.
      if (exec === null ? !(await this.#look.boxRuns()) : !exec.running) return;
    } catch (error) {
      if (isGone(error)) return;
      this.#deps.log.warn({ mark: this.#start.mark, error }, 'a command cannot be looked at; ending its processes');
    }
    // A process that is just taking the place of its maker carries no mark yet: hence the second look.
    for (let attempt = 0; attempt < endAttempts; attempt += 1) {
      await endOf(this.#deps, this.#start);
      const exec = await this.#look.inspect().catch(() => null);
      if (exec === null || !exec.running) return;
    }
    this.#deps.log.error({ mark: this.#start.mark }, 'a command could not be ended; it may be left in the box');
  }
}
