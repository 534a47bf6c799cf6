import { randomInt } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type Docker from 'dockerode';
import { z } from 'zod';
import type { Clock } from '#shared/clock.ts';
import { engineCall, engineErrorOf } from '#shared/docker.ts';
import { EngineError } from '#shared/faults.ts';
import type { Logger } from '#shared/log.ts';
import { endMarked } from './end-marked.ts';
import { Leftovers } from './leftovers.ts';
import { openExecStream } from './exec-stream.ts';
import type { BoxExec, StartTerminal } from './port.ts';
import { ContainerTurns } from './container-turns.ts';
import { DockerTerminal } from './docker-terminal.ts';
import { runScript } from './run-script.ts';
import { loginCommand } from './scripts.ts';
import { hasServerCommand, persistentLoginCommand, resumeCommand } from './tmux.ts';

/** A shell of its own, or the one that is there under tmux. */
type Start = 'new' | 'resume';

const callTimeoutMs = 10_000;
/** From this API version on, the engine gives a terminal its size before its first byte. */
const consoleSizeApi = 42;
const detachKeyCount = 16;

/**
 * Connects at the first use, and again until it succeeds once: a gateway may start before its engine, and answers until then
 * that it is unreachable.
 */
export function createDockerExec(options: { connect: () => Promise<Docker>; clock: Clock; log: Logger }): BoxExec {
  const { clock, log } = options;
  const turns = new ContainerTurns(clock);
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

  async function startInTurn(start: StartTerminal, how: Start, signal: AbortSignal): Promise<DockerTerminal> {
    const docker = await engine();
    const passOn = await turns.enter(start.containerId);
    let terminal: DockerTerminal | null = null;
    try {
      terminal = await startTerminal({ docker, clock, log, turns, leftovers }, start, how, signal);
      return terminal;
    } finally {
      // The shell's first bytes are not held up by this.
      if (terminal) terminal.processExists().then(passOn, passOn);
      else passOn();
    }
  }

  return {
    async open(start, signal) {
      leftovers.mustBeNone(start);
      const terminal = await startInTurn(start, 'new', signal);
      if (signal.aborted) {
        await terminal.hangUp();
        throw signal.reason;
      }
      return terminal;
    },
    async resume(start, signal) {
      leftovers.mustBeNone(start);
      const docker = await engine();
      const { containerId, session } = start;
      const look = { containerId, command: hasServerCommand(session), withinMs: callTimeoutMs };
      if ((await runScript(docker, look, signal)) !== 0) {
        const left = { containerId, session };
        await leftovers.end(left, () => endMarked(docker, { ...left, spareDaemons: true }));
        return null;
      }
      const terminal = await startInTurn(start, 'resume', signal);
      if (signal.aborted) {
        await terminal.leave();
        throw signal.reason;
      }
      return terminal;
    },
    async ping() {
      const docker = await engine();
      await engineCall('ping', callTimeoutMs, () => docker.ping(), new AbortController().signal);
    },
  };
}

async function startTerminal(
  deps: { docker: Docker; clock: Clock; log: Logger; turns: ContainerTurns; leftovers: Leftovers },
  start: StartTerminal,
  how: Start,
  signal: AbortSignal,
): Promise<DockerTerminal> {
  const { docker } = deps;
  const detachKeys = privateKeys();
  const hasConsoleSize = apiMinorOf(docker) >= consoleSizeApi;
  const settings = terminalOptions(start, how, hasConsoleSize, detachKeys);
  const exec = await engineCall(
    'exec-create',
    callTimeoutMs,
    (abortSignal) => docker.getContainer(start.containerId).exec({ ...settings, abortSignal }),
    signal,
  );
  const consoleSize = hasConsoleSize ? { ConsoleSize: [start.size.rows, start.size.cols] } : {};
  const stream = await startOrEnd(deps, start, how, exec.id, { Detach: false, Tty: true, ...consoleSize });
  return new DockerTerminal(deps, { execId: exec.id, stream, detachKeys, start });
}

/**
 * A start is never given up half-way, because its shell would be left behind: it has a time limit, and where it broke off
 * without an answer, whatever it may have started is ended.
 */
async function startOrEnd(
  { docker, log, leftovers }: { docker: Docker; log: Logger; leftovers: Leftovers },
  { containerId, session }: StartTerminal,
  how: Start,
  execId: string,
  body: Readonly<Record<string, unknown>>,
): Promise<Duplex> {
  try {
    return await openExecStream(docker, execId, body, AbortSignal.timeout(callTimeoutMs));
  } catch (error) {
    const refused = error instanceof EngineError && error.fault.status !== null;
    // A shell that was there before goes on: it is resumed again.
    if (!refused && how === 'new') {
      const left = { containerId, session };
      const end = (): Promise<void> => endMarked(docker, { ...left, spareDaemons: false });
      await leftovers.end(left, end).catch((failure: unknown) => {
        log.error({ ...left, error: failure }, 'a start broke off and what it may have started is not ended');
      });
    }
    throw engineErrorOf('exec-start', error);
  }
}

function terminalOptions(
  start: StartTerminal,
  how: Start,
  hasConsoleSize: boolean,
  detachKeys: string,
): Docker.ExecCreateOptions {
  const { rows, cols } = start.size;
  return {
    Cmd: commandOf(start, how, hasConsoleSize),
    Env: [`SPOONBOX_SESSION=${start.session}`, 'TERM=xterm-256color', 'COLORTERM=truecolor'],
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    Tty: true,
    DetachKeys: ['ctrl-^', ...detachKeys.slice(1)].join(','),
    ...(hasConsoleSize ? { ConsoleSize: [rows, cols] } : {}),
  };
}

function commandOf(
  { session, size, directory, persist }: StartTerminal,
  how: Start,
  hasConsoleSize: boolean,
): string[] {
  if (how === 'resume') return resumeCommand(session, size);
  if (persist === 'tmux') return persistentLoginCommand(session, size, directory);
  return hasConsoleSize ? loginCommand(0, 0, directory) : loginCommand(size.rows, size.cols, directory);
}

/**
 * The bytes that hang up this terminal: ctrl-^ and random letters, so that nothing which is typed or pasted is one. With the
 * engine's default, ctrl-p ctrl-q, the user's ctrl-p would be held back; so is ctrl-^ here, until the next key.
 */
function privateKeys(): string {
  const letters = Array.from({ length: detachKeyCount }, () => String.fromCharCode(97 + randomInt(26)));
  return `\u001e${letters.join('')}`;
}

function apiMinorOf(docker: Docker): number {
  const { version } = z.object({ version: z.string().regex(/^v1\.\d+$/) }).parse(docker.modem);
  return Number.parseInt(version.slice('v1.'.length), 10);
}
