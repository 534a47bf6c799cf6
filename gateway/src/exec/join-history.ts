import { Duplex } from 'node:stream';
import type Docker from 'docker-modem';
import type { Clock } from '#shared/clock.ts';
import { EngineError } from '#shared/faults.ts';
import type { Logger } from '#shared/log.ts';
import type { StartTerminal } from './port.ts';
import { readScript } from './run-script.ts';
import { cutIn, draws, historyCommand, historyIn, scrolledAway } from './tmux-resume.ts';

const cutWithinMs = 3_000;
/** Two screens with a colour on each character, and some. */
const cutWithinBytes = 1_024 * 1_024;
const historyWithinMs = 5_000;
/** One is enough unless a line scrolls in just that moment. */
const historyTriesMost = 5;
/** 2,000 lines of 200 characters with a colour each are some megabytes. */
const historyBytesMost = 16 * 1_024 * 1_024;

/**
 * Puts what had scrolled away before the first bytes of a terminal that goes on with its shell. Where tmux does not tell it, the
 * terminal goes on without, and that is logged. Answers what to read on: the stream, unread and not paused, or where it has ended
 * meanwhile, one with what it had said. Rejects with an EngineError where the terminal shows nothing at all: see ContainerTurns.
 */
export async function joinHistory(
  { docker, clock, log }: { docker: Docker; clock: Clock; log: Logger },
  { containerId, session, size }: StartTerminal,
  stream: Duplex,
  signal: AbortSignal,
): Promise<Duplex> {
  const first = await firstOutput(stream, clock, signal);
  const isOver = (): boolean => stream.readableEnded || stream.destroyed || signal.aborted;
  if (first.length === 0 && !isOver()) {
    const message = `a resumed terminal showed nothing within ${cutWithinMs} ms`;
    throw new EngineError({ operation: 'exec-start', kind: 'timeout', status: null, message });
  }
  const cut = cutIn(first);
  const parts = [cut?.rest ?? first];
  try {
    if (cut === null) throw new Error('tmux did not tell where its history ends');
    const command = historyCommand(session, cut.historySize);
    const of = { containerId, command, withinMs: historyWithinMs, bytesMost: historyBytesMost };
    let history = historyIn(await readScript(docker, of, signal));
    for (let tries = 1; !history.isExact && tries < historyTriesMost; tries += 1) {
      history = historyIn(await readScript(docker, of, signal));
    }
    // Of a program that prints as fast as it can, some lines may then be missing or double.
    parts.unshift(scrolledAway(history.lines, size));
  } catch (error) {
    // Its end, and who does not want it any more, are found by whoever reads it.
    if (!isOver()) log.warn({ session, error }, 'a terminal goes on without the lines that had scrolled away');
  }
  const bytes = Buffer.concat(parts);
  if (bytes.length === 0) return stream;
  if (stream.readableEnded || stream.destroyed) {
    stream.destroy();
    return lastWords(bytes);
  }
  stream.unshift(bytes);
  return stream;
}

/** As a terminal that says this and ends. */
function lastWords(bytes: Buffer): Duplex {
  const stream = new Duplex({ allowHalfOpen: false, read() {}, write: (_typed, _encoding, done) => done() });
  stream.push(bytes);
  stream.push(null);
  return stream;
}

/** What comes until the last cut is in it, or will not be. */
function firstOutput(stream: Duplex, clock: Clock, signal: AbortSignal): Promise<Buffer> {
  return new Promise((resolve) => {
    let output = Buffer.alloc(0);
    // Not by `data`, after which a stream stays paused until it is resumed.
    const onReadable = (): void => {
      for (let chunk = stream.read(); chunk !== null; chunk = stream.read()) output = Buffer.concat([output, chunk]);
      if ((cutIn(output)?.draws ?? 0) >= draws || output.length > cutWithinBytes) settle();
    };
    const settle = (): void => {
      cancel();
      stream.off('readable', onReadable).off('end', settle).off('close', settle);
      signal.removeEventListener('abort', settle);
      resolve(output);
    };
    const cancel = clock.after(cutWithinMs, settle);
    stream.on('readable', onReadable).once('end', settle).once('close', settle);
    signal.addEventListener('abort', settle, { once: true });
    if (signal.aborted || stream.destroyed) settle();
  });
}
