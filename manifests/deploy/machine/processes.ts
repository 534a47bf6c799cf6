import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { codeOf } from './refusal.ts';

const pollMs = 50;

/** One life of a process. A pid alone is used again by the system; with the time of its start it is not. */
export const ProcessMark = z.object({ pid: z.int().positive(), started: z.string().min(1) });
export type ProcessMark = z.infer<typeof ProcessMark>;

/** The mark of a process that lives now; nothing when there is none, or only its zombie. */
export function markOf(pid: number): ProcessMark | undefined {
  const started = existsSync('/proc/self/stat') ? startFromProc(pid) : startFromPs(pid);
  return started === undefined ? undefined : { pid, started };
}

export function isAlive(mark: ProcessMark | undefined): mark is ProcessMark {
  return mark !== undefined && markOf(mark.pid)?.started === mark.started;
}

/** Signals exactly this life of the process; false when it is over. */
export function signalProcess(mark: ProcessMark, signal: NodeJS.Signals): boolean {
  if (!isAlive(mark)) return false;
  try {
    return process.kill(mark.pid, signal);
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return false;
    throw error;
  }
}

/** Waits for its end; false when it still lives after `timeoutMs`. */
export async function awaitEnd(mark: ProcessMark, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
  for (let waitedMs = 0; isAlive(mark); waitedMs += pollMs) {
    if (waitedMs >= timeoutMs) return false;
    await sleep(pollMs, undefined, { signal });
  }
  return true;
}

/** SIGTERM, then SIGKILL for what has not ended after the grace. True when it went by itself. */
export async function endProcess(mark: ProcessMark, graceMs: number, signal: AbortSignal): Promise<boolean> {
  if (!signalProcess(mark, 'SIGTERM')) return true;
  if (await awaitEnd(mark, graceMs, signal)) return true;
  signalProcess(mark, 'SIGKILL');
  await awaitEnd(mark, graceMs, signal);
  return false;
}

/** Boot id and start in clock ticks since that boot: unique across reboots. */
function startFromProc(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name, in parentheses, may itself hold spaces and parentheses; state and start time are fields 3 and 22.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}/${fields[19]}`;
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ESRCH') return undefined;
    throw error;
  }
}

function startFromPs(pid: number): string | undefined {
  try {
    const started = execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], {
      encoding: 'utf8',
      stdio: 'pipe',
    }).trim();
    return started === '' ? undefined : started;
  } catch {
    return undefined; // ps ends with 1 when there is no such process
  }
}
