import { readdirSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** What a process has that has to be given back: a crash is not the only way to fall. */
export interface Belongings {
  readonly heapBytes: number;
  readonly handles: readonly string[];
  /** open files and sockets, as the kernel counts them */
  readonly descriptors: number;
}

/** Compiled code, caches that are full: what a target may keep for good after however many inputs. */
const keptHeapBytes = 48 * 1024 ** 2;
const settleLooks = 40;
const lookEveryMs = 50;

setFlagsFromString('--expose-gc');
const collect: unknown = runInNewContext('gc');

export function belongings(): Belongings {
  if (typeof collect !== 'function') throw new Error('the garbage cannot be collected on request');
  collect();
  return {
    heapBytes: process.memoryUsage().heapUsed + process.memoryUsage().external,
    handles: process.getActiveResourcesInfo().toSorted(),
    descriptors: readdirSync('/proc/self/fd').length,
  };
}

/** What is there now, after a while at most, and was not before; '' = nothing. */
export async function leakedSince(before: Belongings): Promise<string> {
  let leaked = '';
  for (let look = 0; look < settleLooks; look += 1) {
    leaked = differenceOf(before, belongings());
    if (leaked === '') return '';
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
  return leaked;
}

function differenceOf(before: Belongings, now: Belongings): string {
  const grown = now.heapBytes - before.heapBytes;
  const lost = [
    grown > keptHeapBytes ? `${Math.round(grown / 1024 ** 2)} MB of heap` : '',
    now.descriptors > before.descriptors ? `${now.descriptors - before.descriptors} open descriptors` : '',
    now.handles.length > before.handles.length ? `handles: ${now.handles.join(', ')}` : '',
  ];
  return lost.filter((one) => one !== '').join('; ');
}
