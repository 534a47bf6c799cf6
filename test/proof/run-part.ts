import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import { createInterface } from 'node:readline';
import type { Part } from './parts.ts';

/** How many of a part's last lines the report shows: each part ends with its own summary. */
const toldLines = 25;
/** A part cleans up after an interruption (engines, containers); what takes longer is ended, before `npm run` ends us. */
const cleanUpMs = 15_000;

export interface Outcome {
  readonly part: Part;
  /** as one types it, from the root of the checkout */
  readonly command: string;
  readonly verdict: 'nothing found' | 'RED' | 'interrupted';
  readonly minutes: number;
  readonly lastLines: readonly string[];
  readonly log: string;
}

/** Runs a part to its end; its output goes to this terminal and to `log`. */
export async function runPart(part: Part, share: number, log: string, signal: AbortSignal): Promise<Outcome> {
  const args = part.command(share);
  const startedAt = performance.now();
  const file = createWriteStream(log);
  // A group of its own: a Ctrl-C reaches the part once, from here.
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const lastLines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      process.stdout.write(`${line}\n`);
      file.write(`${line}\n`);
      lastLines.push(line);
      if (lastLines.length > toldLines) lastLines.shift();
    });
  }
  const signalPart = (name: NodeJS.Signals): void => {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) process.kill(-child.pid, name);
  };
  let force: NodeJS.Timeout | undefined;
  const onAbort = (): void => {
    signalPart('SIGTERM');
    force = setTimeout(() => signalPart('SIGKILL'), cleanUpMs);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject).once('close', resolve);
    });
    return {
      part,
      command: `node ${args.join(' ')}`,
      verdict: signal.aborted ? 'interrupted' : code === 0 ? 'nothing found' : 'RED',
      minutes: (performance.now() - startedAt) / 60_000,
      lastLines,
      log,
    };
  } finally {
    signal.removeEventListener('abort', onAbort);
    clearTimeout(force);
    file.end();
    await finished(file);
  }
}
