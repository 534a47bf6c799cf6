import { randomInt } from 'node:crypto';
import type Docker from 'docker-modem';
import { z } from 'zod';
import type { Clock } from '#shared/clock.ts';
import type { Logger } from '#shared/log.ts';
import { environmentLines } from '../environment.ts';
import { ask } from './ask.ts';
import { connectOnce } from './connect-once.ts';
import { endMarked, endNowOrLater } from './end-marked.ts';
import { joinHistory } from './join-history.ts';
import { Leftovers } from './leftovers.ts';
import { callTimeoutMs } from './limits.ts';
import type { BoxExec, StartTerminal } from './port.ts';
import { ContainerTurns } from './container-turns.ts';
import { DockerTerminal } from './docker-terminal.ts';
import { runScript } from './run-script.ts';
import { loginCommand } from './scripts.ts';
import type { ExecOptions } from './exec-calls.ts';
import { startExec } from './start-exec.ts';
import { persistentLoginCommand } from './tmux.ts';
import { freeCommand, resumeCommand } from './tmux-resume.ts';

/** A shell of its own, or the one that is there under tmux. */
type Start = 'new' | 'resume';

/** From this API version on, the engine gives a terminal its size before its first byte. */
const consoleSizeApi = 42;
const detachKeyCount = 16;

export function createDockerExec(options: { connect: () => Promise<Docker>; clock: Clock; log: Logger }): BoxExec {
  const { clock, log } = options;
  const turns = new ContainerTurns(clock);
  const leftovers = new Leftovers(clock, log);
  const engine = connectOnce(options.connect);

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
      const look = { containerId, command: freeCommand(session), withinMs: callTimeoutMs };
      if ((await runScript(docker, look, signal)) !== 0) {
        await endNowOrLater({ docker, leftovers }, { containerId, session, spareDaemons: true });
        return null;
      }
      const terminal = await startInTurn(start, 'resume', signal);
      try {
        terminal.stream = await joinHistory({ docker, clock, log }, start, terminal.stream, signal);
      } catch (error) {
        await terminal.leave();
        throw error;
      }
      if (signal.aborted) {
        await terminal.leave();
        throw signal.reason;
      }
      return terminal;
    },
    async endLeft(of) {
      await leftovers.end(of, async () => endMarked(await engine(), { ...of, spareDaemons: true }));
    },
    async ping() {
      await ask(await engine(), 'ping', { method: 'GET', path: '/_ping' });
    },
  };
}

async function startTerminal(
  deps: { docker: Docker; clock: Clock; log: Logger; turns: ContainerTurns; leftovers: Leftovers },
  start: StartTerminal,
  how: Start,
  signal: AbortSignal,
): Promise<DockerTerminal> {
  const { docker, log } = deps;
  const { containerId, session } = start;
  const detachKeys = privateKeys();
  const hasConsoleSize = apiMinorOf(docker) >= consoleSizeApi;
  const create = terminalOptions(start, how, hasConsoleSize, detachKeys);
  const consoleSize = hasConsoleSize ? { ConsoleSize: [start.size.rows, start.size.cols] } : {};
  const body = { Detach: false, Tty: true, ...consoleSize };
  const endStarted = async (): Promise<void> => {
    // A shell that was there before goes on: it is resumed again.
    if (how === 'new') await endNowOrLater(deps, { containerId, session, spareDaemons: false });
  };
  const started = await startExec(docker, log, { containerId, create, start: body, endStarted }, signal);
  return new DockerTerminal(deps, { ...started, detachKeys, start });
}

function terminalOptions(start: StartTerminal, how: Start, hasConsoleSize: boolean, detachKeys: string): ExecOptions {
  const { rows, cols } = start.size;
  return {
    Cmd: commandOf(start, how, hasConsoleSize),
    Env: environmentLines(start.environment, {
      SPOONBOX_SESSION: start.session,
      TERM: 'xterm-256color',
      COLORTERM: 'truecolor',
    }),
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
  const { version } = ApiOf.parse(docker);
  return Number.parseInt(version.slice('v1.'.length), 10);
}

const ApiOf = z.object({ version: z.string().regex(/^v1\.\d+$/) });
