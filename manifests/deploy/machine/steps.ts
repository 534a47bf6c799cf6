import { performance } from 'node:perf_hooks';

/** Without a terminal a step says again how far it is this often, and no oftener. */
const plainProgressEveryMs = 5_000;
const showDurationFromMs = 1_000;

export interface Step {
  /** How far it is: rewritten in place on a terminal, printed now and then elsewhere. */
  progress(text: string): void;
  /** What to say when it has ended; the last one counts. */
  done(text: string): void;
}

/** Runs one step of the work and prints one line for it. A step that throws prints none: whoever catches says why. */
export async function step<T>(title: string, work: (step: Step) => Promise<T>): Promise<T> {
  const startedAt = performance.now();
  let summary = '';
  let printedAt = startedAt;
  let printed = '';
  const terminal = process.stdout.isTTY === true;
  try {
    const value = await work({
      progress(text) {
        const line = `..  ${title}: ${text.split('\n', 1)[0]}`;
        const now = performance.now();
        if (terminal) {
          write(`\r\x1b[2K${line.slice(0, (process.stdout.columns || 80) - 1)}`);
        } else if (line !== printed && (printed === '' || now - printedAt >= plainProgressEveryMs)) {
          write(`${line}\n`);
          printed = line;
          printedAt = now;
        }
      },
      done(text) {
        summary = text;
      },
    });
    const tookMs = performance.now() - startedAt;
    const took = tookMs >= showDurationFromMs ? ` (${(tookMs / 1_000).toFixed(1)} s)` : '';
    say(`ok  ${title}${summary === '' ? '' : `: ${summary}`}${took}`);
    return value;
  } catch (error) {
    if (terminal) write('\r\x1b[2K');
    throw error;
  }
}

/** One line to the terminal, clear of a progress line that may stand there. */
export function say(line: string): void {
  write(process.stdout.isTTY === true ? `\r\x1b[2K${line}\n` : `${line}\n`);
}

/** A terminal that has gone away must not end the work: draining matters more than telling. */
export function surviveLostTerminal(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
}

function write(text: string): void {
  process.stdout.write(text);
}
