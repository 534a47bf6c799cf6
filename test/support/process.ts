import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { nodeFlagsOf } from '#shared/node-flags.ts';
import { builtOf } from './built-programs.ts';

/** A process that was told to stop gets this long before it is killed. */
const stopWithinMs = 30_000;
/** Log lines that are kept of each process. */
const maxLines = 20_000;

/** A process of ours, as `npm start` runs it. */
export interface RunningProcess {
  readonly pid: number;
  /** `performance.now()` of this process just before that one was started */
  readonly startedAtMs: number;
  /** what it has logged so far, newest last, and what it wrote to standard error */
  readonly lines: readonly string[];
  /** the exit code, when it ends by itself or not; null after a signal */
  readonly exited: Promise<number | null>;
  /** Throws where it has ended, with what it said. */
  mustRun(): void;
  /** SIGSTOP, SIGCONT: what a machine that stalls does to it. SIGUSR2: what its own main makes of it. */
  signal(signal: 'SIGSTOP' | 'SIGCONT' | 'SIGUSR2'): void;
  /** SIGTERM; answers the exit code. */
  stop(): Promise<number | null>;
  /** SIGKILL. */
  kill(): Promise<void>;
}

/** `like`: whose flags of Node it gets. */
export function startProcess(
  mainFile: string,
  settings: Readonly<Record<string, string>>,
  like = mainFile,
): RunningProcess {
  const startedAtMs = performance.now();
  const env = { ...withoutOurs(process.env), ...settings };
  const child = spawn(process.execPath, [...nodeFlagsOf(like), builtOf(mainFile)], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', resolve);
  });
  const lines = collectLines(child);

  async function end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    if (!hasEnded(child)) child.kill(signal);
    const force = setTimeout(() => child.kill('SIGKILL'), stopWithinMs);
    try {
      return await exited;
    } finally {
      clearTimeout(force);
    }
  }

  return {
    pid: child.pid ?? 0,
    startedAtMs,
    lines,
    exited,
    mustRun() {
      if (hasEnded(child)) throw new Error(`${mainFile} ended with ${child.exitCode}:\n${lines.join('\n')}`);
    },
    signal(signal) {
      child.kill(signal);
    },
    stop: () => end('SIGTERM'),
    async kill() {
      await end('SIGKILL');
    },
  };
}

/** What a developer has set for an installation of their own must not reach a test's; the engine and the image do. */
function withoutOurs(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(([name]) => !name.startsWith('SPOON_') || name === 'SPOON_BOX_IMAGE');
  return Object.fromEntries(kept);
}

function collectLines(child: ChildProcess): string[] {
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line);
      if (lines.length > maxLines) lines.shift();
    });
  }
  return lines;
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
