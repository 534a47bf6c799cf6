import fc from 'fast-check';
import { ServerMessage } from '#shared/terminal-protocol.ts';
import { printable } from '../../../controller/cli/output.ts';
import { readEvents } from '../../../controller/sdk/server-events.ts';
import { createEscapeFilter } from '../../../controller/cli/terminal/escape.ts';
import { must, target } from '../target.ts';
import { cuts, junk, mutated, pieces, text } from '../values.ts';

/** What a server may send to the command line. */
const exit = { type: 'exit', code: 3, reason: 'exited', message: 'm' };
const status = { type: 'status', phase: 'ready', step: null, message: 'm', progress: null };
export const messages = target('messages to the CLI', 60, fc.oneof(mutated(exit, status), junk, text), () => ({
  check(value) {
    const { data } = ServerMessage.safeParse(value);
    if (data === undefined) return;
    // Node throws at an exit code that is no whole number.
    must(
      data.type !== 'exit' || data.code === null || Number.isSafeInteger(data.code),
      'an exit code is a whole number',
    );
    if (!('message' in data)) return;
    const shown = printable(data.message);
    must(!/\p{Cc}/u.test(shown), 'no control character of the server reaches the terminal');
  },
}));

export const serverEvents = target(
  'server-sent events to the CLI',
  30,
  fc.record({
    blocks: fc.array(fc.tuple(fc.constantFrom('event', 'id', 'data', ': x', ''), text), { maxLength: 8 }),
    cuts,
  }),
  () => ({
    async check({ blocks, cuts: at }) {
      const bytes = Buffer.from(blocks.map(([name, said]) => `${name}: ${said}\n\n`).join(''));
      const [whole, cut] = [await read([bytes]), await read(pieces(bytes, at))];
      must(JSON.stringify(whole) === JSON.stringify(cut), 'where a stream is cut makes no difference');
    },
  }),
);

async function read(chunks: readonly Buffer[]): Promise<unknown[]> {
  const found: unknown[] = [];
  async function* sent(): AsyncGenerator<Buffer> {
    yield* chunks;
  }
  for await (const event of readEvents(sent())) found.push(event);
  return found;
}

export const escapes = target(
  'escape keys, cut anywhere',
  40,
  fc.record({ typed: fc.string({ unit: fc.constantFrom(...'~.?\r\nab') }).map((keys) => Buffer.from(keys)), cuts }),
  () => ({
    check({ typed, cuts: at }) {
      const [whole, cut] = [createEscapeFilter(), createEscapeFilter()];
      const joined = (parts: ReturnType<typeof whole>): string =>
        parts.map((part) => (part.type === 'bytes' ? part.bytes.toString('latin1') : `<${part.type}>`)).join('');
      const inPieces = pieces(typed, at).flatMap((piece) => cut(piece));
      must(joined(inPieces) === joined(whole(typed)), 'where keys are cut makes no difference');
    },
  }),
);
