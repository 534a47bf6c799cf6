import type { Bench } from '../support/bench.ts';
import { sleep, systemClock } from '#shared/clock.ts';
import { intervalText, type Rounds, valueInterval } from '../support/intervals.ts';
import { percentile, rounded } from '../support/statistics.ts';
import type { Wire } from './wire.ts';

/** Many terminals at once, each with 1 KiB/s of output and a key a second. */

export const key = 'K';
const keyByte = key.charCodeAt(0);
/** Before it counts: the last of them have just been opened. */
const settleMs = 3_000;
/** Keys are spread over the second, so many bunches in it. */
const slots = 100;

/** Watched one after the other: one number of one window says nothing about the next. */
export interface Windows {
  readonly count: number;
  readonly eachMs: number;
}

export interface Crowd {
  /** of each window */
  readonly echoMs: Rounds;
  /** what came to each of them, a second, the least */
  readonly leastBytesPerS: number;
  /** what each of them has typed, a second: less than 1 where this machine has no time for it */
  readonly keysPerS: number;
  /** keys that had no echo at the end */
  readonly unanswered: number;
}

/** Types and listens on terminals that echo a key as it is, and say it at no other time. */
export async function watchCrowd(wires: readonly Wire[], windows: Windows, signal: AbortSignal): Promise<Crowd> {
  const echoMs: number[][] = [];
  const bytes = wires.map(() => 0);
  const sentAt = wires.map((): number[] => []);
  let isCounting = false;
  wires.forEach((wire, index) => {
    wire.listen((chunk) => {
      bytes[index] = (bytes[index] ?? 0) + chunk.length;
      for (let at = chunk.indexOf(keyByte); at >= 0; at = chunk.indexOf(keyByte, at + 1)) {
        const beginMs = sentAt[index]?.shift();
        if (beginMs !== undefined && isCounting) echoMs.at(-1)?.push(performance.now() - beginMs);
      }
      wire.parsed(chunk.length);
    });
  });
  const slotMs = 1_000 / slots;
  const startedAtMs = performance.now();
  let slot = 0;
  const timer = setInterval(() => {
    // A timer that comes late does not make fewer keys of it.
    for (; startedAtMs + slot * slotMs <= performance.now(); slot++) {
      for (let index = slot % slots; index < wires.length; index += slots) {
        sentAt[index]?.push(performance.now());
        wires[index]?.send(key);
      }
    }
  }, slotMs);
  try {
    await sleep(systemClock, settleMs, signal);
    isCounting = true;
    bytes.fill(0);
    const beginMs = performance.now();
    for (let window = 0; window < windows.count; window++) {
      echoMs.push([]);
      await sleep(systemClock, windows.eachMs, signal);
    }
    const tookS = (performance.now() - beginMs) / 1_000;
    const leastBytesPerS = Math.min(...bytes) / tookS;
    const keysPerS = echoMs.flat().length / tookS / wires.length;
    clearInterval(timer);
    await sleep(systemClock, 1_000, signal);
    return { echoMs, leastBytesPerS, keysPerS, unanswered: sentAt.reduce((sum, left) => sum + left.length, 0) };
  } finally {
    clearInterval(timer);
  }
}

/** Opens them, so many at a time. */
export async function openCrowd(
  bench: Bench,
  open: (index: number) => Promise<Wire>,
  of: { count: number; atOnce: number; name: string },
): Promise<Wire[]> {
  const wires: Wire[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < of.count; index = next++) {
      wires.push(await open(index));
      if (wires.length % 100 === 0) bench.progress(`${of.name}: ${wires.length} of ${of.count} terminals`);
    }
  };
  await Promise.all(Array.from({ length: of.atOnce }, worker));
  return wires;
}

export function crowdText({ echoMs }: Crowd): string {
  return `echo p50 ${rounded(percentile(echoMs.flat(), 0.5))} ms, p99 ${intervalText(valueInterval(echoMs, 0.99))} ms`;
}
