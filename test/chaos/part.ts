import { type ChildProcess, fork, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { nodeFlagsOf } from '#shared/node-flags.ts';

const stopWithinMs = 30_000;
const keptLines = 200;

/** One process of the installation, through all its lives. */
export interface Part {
  readonly name: string;
  /** where it serves; '' = it does not */
  readonly url: string;
  readonly isRunning: boolean;
  readonly pid: number | null;
  start(): void;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** SIGTERM; answers the exit code, null where it had to be killed. */
  stop(): Promise<number | null>;
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
  send(message: string): void;
  readonly exited: Promise<void>;
  lastLines(): string;
}

export interface PartOptions {
  readonly name: string;
  readonly url?: string;
  readonly main: string;
  readonly args?: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly onLine: (line: string) => void;
  readonly onMessage?: (message: unknown) => void;
  /** It ended, and nobody had ended it. */
  readonly onEnd: (how: string) => void;
}

export function createPart(options: PartOptions): Part {
  let child: ChildProcess | null = null;
  let expected = false;
  let exited: Promise<void> = Promise.resolve();
  let lines: string[] = [];

  async function end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    const running = child;
    if (running === null) return null;
    expected = true;
    running.kill('SIGCONT');
    running.kill(signal);
    const force = setTimeout(() => running.kill('SIGKILL'), stopWithinMs);
    await exited;
    clearTimeout(force);
    return running.exitCode;
  }

  return {
    name: options.name,
    url: options.url ?? '',
    get isRunning() {
      return child !== null;
    },
    get pid() {
      return child?.pid ?? null;
    },
    get exited() {
      return exited;
    },
    start() {
      if (child !== null) throw new Error(`${options.name} runs already`);
      expected = false;
      const { main, args = [], environment: env, onMessage } = options;
      const started =
        onMessage === undefined
          ? spawn(process.execPath, [...nodeFlagsOf(main), main, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
          : fork(main, args, { env, execArgv: [...nodeFlagsOf(main)], stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
      child = started;
      lines = [];
      for (const stream of [started.stdout, started.stderr]) {
        if (stream === null) continue;
        createInterface({ input: stream }).on('line', (line) => {
          lines.push(line);
          if (lines.length > keptLines) lines.shift();
          options.onLine(line);
        });
      }
      if (onMessage !== undefined) started.on('message', onMessage);
      exited = new Promise((resolve) => {
        started.once('exit', (code, signal) => {
          child = null;
          if (!expected) options.onEnd(signal ?? `exit code ${code}`);
          resolve();
        });
      });
    },
    async kill() {
      await end('SIGKILL');
    },
    stop: () => end('SIGTERM'),
    signal: (signal) => void child?.kill(signal),
    send: (message) => void child?.send(message),
    lastLines: () => lines.join('\n'),
  };
}
