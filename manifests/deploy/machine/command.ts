import { type SpawnOptions, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { Refusal } from './refusal.ts';

const keptLines = 20;
const systemDirs = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/usr/bin', '/bin'];

export interface CommandOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly onLine?: (line: string) => void;
}

/** Runs a command to its end; its output goes to `onLine`. Throws with the last line it printed when it fails. */
export async function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions,
  signal?: AbortSignal,
): Promise<void> {
  const spawnOptions: SpawnOptions = {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: options.env ?? process.env,
    ...(signal === undefined ? {} : { signal }),
  };
  const child = spawn(command, [...args], spawnOptions);
  const last: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    createInterface({ input: stream }).on('line', (line) => {
      if (line.trim() === '') return;
      last.push(line.trim());
      if (last.length > keptLines) last.shift();
      options.onLine?.(line.trim());
    });
  }
  const code = await new Promise<number | string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exitCode, exitSignal) => resolve(exitCode ?? exitSignal ?? 'no exit code'));
  });
  if (code === 0) return;
  const told =
    last.findLast((line) => /^(E:|error|fatal|dpkg: error)/i.test(line)) ?? last.at(-1) ?? 'it printed nothing';
  throw new Refusal(`\`${[command, ...args].join(' ')}\` failed (${code}): ${told}`);
}

/** Where a program is, looked for in PATH and in the system's directories, which a user's PATH may leave out; or at its path. */
export function which(program: string): string | undefined {
  const dirs = [...(process.env.PATH ?? '').split(':').filter(Boolean), ...systemDirs];
  return dirs.map((dir) => resolve(dir, program)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
