import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

/** Calls back for each line; resolves when the stream has closed, in whatever way, or the signal is aborted. Rejects where `onLine` throws. */
export async function readLines(stream: Readable, onLine: (line: string) => void, signal: AbortSignal): Promise<void> {
  const lines = createInterface({ input: stream });
  try {
    await new Promise<void>((resolve, reject) => {
      stream.once('close', resolve);
      stream.once('error', () => resolve());
      signal.addEventListener('abort', () => resolve(), { once: true });
      // The stream's error again, as readline tells it.
      lines.on('error', () => resolve());
      lines.on('line', (line) => {
        try {
          onLine(line);
        } catch (error) {
          reject(error);
        }
      });
    });
  } finally {
    lines.close();
    stream.destroy();
  }
}
