import { closeSync, existsSync, fstatSync, openSync, readSync, renameSync, statSync } from 'node:fs';
import { z } from 'zod';

const rotateBytes = 10 * 1024 ** 2;
const readBytes = 64 * 1024;
const pollMs = 200;
const shownLevels = ['warn', 'error', 'fatal'];
const shownFieldLength = 200;
const unshownFields = ['level', 'time', 'pid', 'hostname', 'name', 'msg', 'error', 'problem', 'headers'];
/** We ask for it ourselves until it says yes: that it said no before is told by the step that waits. */
const askedByUs = '/readyz';

const LogLine = z.looseObject({
  level: z.string(),
  msg: z.string().default(''),
  route: z.string().optional(),
  error: z.looseObject({ message: z.string() }).optional(),
});

/** Opens a log to append to; one that has grown too large is put aside first, over the one put aside before. */
export function openLog(path: string): number {
  if (existsSync(path) && statSync(path).size > rotateBytes) renameSync(path, `${path}.1`);
  return openSync(path, 'a', 0o600);
}

/** Hands on the lines that a log gains, until stopped. The writer keeps the file itself, so it lives on without us. */
export class LogFollower {
  readonly #file: number;
  readonly #onLine: (line: string) => void;
  readonly #timer: NodeJS.Timeout;
  readonly #buffer = Buffer.alloc(readBytes);
  #position: number;
  #rest = '';

  constructor(path: string, onLine: (line: string) => void) {
    this.#file = openSync(path, 'r');
    this.#position = fstatSync(this.#file).size;
    this.#onLine = onLine;
    this.#timer = setInterval(() => this.read(), pollMs);
  }

  /** Reads what is new, at most one buffer of it: a flood of lines is in the file, not on the terminal. */
  read(): void {
    const { size } = fstatSync(this.#file);
    if (size - this.#position > readBytes) {
      this.#position = size - readBytes;
      this.#rest = '';
    }
    const count = readSync(this.#file, this.#buffer, 0, readBytes, this.#position);
    this.#position += count;
    const lines = (this.#rest + this.#buffer.toString('utf8', 0, count)).split('\n');
    this.#rest = (lines.pop() ?? '').slice(-readBytes);
    for (const line of lines) if (line.trim() !== '') this.#onLine(line);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.read();
    closeSync(this.#file);
  }
}

/** A log line as a person reads it, or nothing for one below warning. What is no log line (a crash) is shown as it is. */
export function readable(line: string, everything: boolean): string | undefined {
  const parsed = parseLogLine(line);
  if (parsed === undefined) return line;
  if (!everything && (!shownLevels.includes(parsed.level) || parsed.route === askedByUs)) return undefined;
  const fields = Object.entries(parsed)
    .filter(([name]) => !unshownFields.includes(name))
    .map(
      ([name, value]) =>
        `${name}=${(typeof value === 'string' ? value : JSON.stringify(value)).slice(0, shownFieldLength)}`,
    );
  const reason = parsed.error?.message ?? '';
  return [`${parsed.level}: ${parsed.msg}${parsed.msg.includes(reason) ? '' : `: ${reason}`}`, ...fields].join(' ');
}

function parseLogLine(line: string): z.infer<typeof LogLine> | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return LogLine.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}
