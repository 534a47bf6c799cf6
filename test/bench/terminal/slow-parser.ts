import type { Wire } from './wire.ts';

/** A client that takes its time: what comes waits in a queue, and counts as parsed at so many bytes a second. */
export interface SlowParser {
  /** so far */
  readonly parsedBytes: number;
  /** Waits until `mark` is parsed, from now on; answers when it was. */
  sees(mark: string, withinMs: number): Promise<number>;
  stop(): void;
}

const tickMs = 4;

export function parseSlowly(wire: Wire, bytesPerS: number): SlowParser {
  const queue: Buffer[] = [];
  let wanted: { readonly mark: string; readonly found: () => void } | null = null;
  let tail: Buffer = Buffer.alloc(0);
  let lastMs = performance.now();
  let mayBytes = 0;
  let parsedBytes = 0;
  wire.listen((chunk) => queue.push(chunk));

  function take(bytes: Buffer): void {
    const seen = Buffer.concat([tail, bytes]);
    if (wanted !== null && seen.includes(wanted.mark)) wanted.found();
    tail = seen.subarray(-(wanted?.mark.length ?? 0) - 1);
    parsedBytes += bytes.length;
    wire.parsed(bytes.length);
  }

  function tick(): void {
    const nowMs = performance.now();
    // A client that had nothing to do has not saved its time up.
    mayBytes = queue.length === 0 ? 0 : mayBytes + ((nowMs - lastMs) / 1_000) * bytesPerS;
    lastMs = nowMs;
    while (mayBytes > 0) {
      const chunk = queue.shift();
      if (chunk === undefined) return;
      const now = chunk.subarray(0, Math.ceil(mayBytes));
      if (now.length < chunk.length) queue.unshift(chunk.subarray(now.length));
      mayBytes -= now.length;
      take(now);
    }
  }
  const timer = setInterval(tick, tickMs);

  return {
    get parsedBytes() {
      return parsedBytes;
    },
    async sees(mark, withinMs) {
      return await new Promise((resolve, reject) => {
        const late = setTimeout(() => reject(new Error(`${mark} was not parsed within ${withinMs} ms`)), withinMs);
        wanted = {
          mark,
          found() {
            clearTimeout(late);
            wanted = null;
            resolve(performance.now());
          },
        };
      });
    },
    stop() {
      clearInterval(timer);
      wire.listen((chunk) => wire.parsed(chunk.length));
      for (const chunk of queue.splice(0)) wire.parsed(chunk.length);
    },
  };
}
