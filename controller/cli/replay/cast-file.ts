import { createReadStream } from 'node:fs';
import { z } from 'zod';
import { parseJson } from '#shared/json.ts';
import { CliError } from '../command.ts';

/** https://docs.asciinema.org/manual/asciicast/v2/; fields that are not played are not looked at. */
const Head = z.object({
  width: z.int().min(1),
  height: z.int().min(1),
  title: z.string().optional(),
  idle_time_limit: z.number().min(0).optional(),
});
export type CastHead = z.infer<typeof Head>;

/** Seconds since the beginning, code, data. */
const Event = z.tuple([z.number().min(0), z.string(), z.string()]);
export interface CastEvent {
  readonly atMs: number;
  readonly code: string;
  readonly data: string;
}

/** The longest line that is taken; a recording of ours has none of 1 MiB. */
const maxLineBytes = 16 * 1024 * 1024;

/**
 * Reads an asciicast v2 file line by line: the head first, then the events. A line that does not follow the format is refused by its number;
 * what was before it has been given out by then, so a recording that was cut off plays up to there.
 */
export async function openCast(
  path: string,
  signal: AbortSignal,
): Promise<{ head: CastHead; events: AsyncGenerator<CastEvent> }> {
  const lines = linesOf(path, signal);
  const first = await lines.next();
  if (first.done) throw new CliError(`${path} is empty: it is no recording`);
  const head = headOf(path, first.value);
  return { head, events: eventsOf(path, lines) };
}

async function* eventsOf(path: string, lines: AsyncGenerator<string>): AsyncGenerator<CastEvent> {
  let number = 1;
  for await (const line of lines) {
    number += 1;
    if (line.trim() === '') continue;
    const parsed = Event.safeParse(parseJson(line));
    if (!parsed.success) {
      throw refused(
        path,
        number,
        'is no event: [seconds, "code", "data"] is one; the recording may have been cut off there',
      );
    }
    const [seconds, code, data] = parsed.data;
    yield { atMs: seconds * 1_000, code, data };
  }
}

function headOf(path: string, line: string): CastHead {
  const value = parseJson(line);
  const version = z.object({ version: z.number() }).safeParse(value);
  if (!version.success)
    throw refused(path, 1, 'does not begin an asciicast file: {"version": 2, "width": …, "height": …} does');
  if (version.data.version !== 2) {
    throw refused(
      path,
      1,
      `says version ${version.data.version}: only version 2 is played (\`asciinema convert\` makes it)`,
    );
  }
  const parsed = Head.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw refused(path, 1, `has a head that is refused: ${issue?.path.join('.')}: ${issue?.message}`);
}

async function* linesOf(path: string, signal: AbortSignal): AsyncGenerator<string> {
  let rest = '';
  try {
    for await (const chunk of createReadStream(path, { encoding: 'utf8', signal })) {
      const lines = (rest + String(chunk)).split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > maxLineBytes)
        throw new CliError(`${path} has a line of more than ${maxLineBytes} bytes: it is no recording`);
      yield* lines;
    }
  } catch (error) {
    if (error instanceof CliError) throw error;
    signal.throwIfAborted();
    throw new CliError(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (rest !== '') yield rest;
}

function refused(path: string, line: number, why: string): CliError {
  return new CliError(`${path}: line ${line} ${why}`);
}
