import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { root } from './places.ts';
import { Refusal } from './refusal.ts';

const forceAfterMs = 20_000;

/** The path of a program that the packages bring. */
export const packaged = (program: string): string => join(root, 'node_modules/.bin', program);

/**
 * Runs a program on this terminal and returns its exit code. An abort ends its whole process group, so that what a
 * test started does not outlive it.
 */
export async function runForeground(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<number> {
  signal.throwIfAborted();
  const child = spawn(command, [...args], { cwd: root, env, stdio: 'inherit', detached: true });
  let force: NodeJS.Timeout | undefined;
  const signalGroup = (name: NodeJS.Signals): void => {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) process.kill(-child.pid, name);
  };
  const onAbort = (): void => {
    signalGroup('SIGTERM');
    force = setTimeout(() => signalGroup('SIGKILL'), forceAfterMs);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', (error) => reject(new Refusal(`${command} could not be run: ${error.message}`)));
      child.once('exit', (code, name) => resolve(code ?? 128 + (name === null ? 0 : constants.signals[name])));
    });
  } finally {
    signal.removeEventListener('abort', onAbort);
    clearTimeout(force);
    signal.throwIfAborted();
  }
}
