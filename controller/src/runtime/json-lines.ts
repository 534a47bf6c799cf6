import type { Readable } from 'node:stream';

/** A line of the engine's that is longer than this is no line of the engine's. */
const maxLineLength = 1024 ** 2;

/** The JSON values of a stream that sends one per line, as they come. Leaving the loop destroys the stream. */
export async function* jsonLines(stream: Readable): AsyncGenerator<unknown> {
  let rest = '';
  stream.setEncoding('utf8');
  for await (const chunk of stream) {
    // Only what came is searched: a long line in small pieces costs no more than a short one.
    const lines = String(chunk).split('\n');
    const last = lines.pop() ?? '';
    for (const part of lines) {
      const line = rest + part;
      rest = '';
      if (line.trim() !== '') yield JSON.parse(line);
    }
    rest += last;
    if (rest.length > maxLineLength) throw new Error(`the engine sent a line of more than ${maxLineLength} characters`);
  }
  if (rest.trim() !== '') yield JSON.parse(rest);
}
