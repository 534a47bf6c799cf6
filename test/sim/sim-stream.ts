import { LuaError } from './lua-error.ts';

export interface StreamEntry {
  readonly id: string;
  readonly fields: readonly string[];
}

/** A stream's own ids only ever grow, also where the clock went back, and end at the largest of 64 bits. */
export interface StreamValue {
  readonly entries: StreamEntry[];
  lastMs: bigint;
  lastSequence: bigint;
}

const largest = 18_446_744_073_709_551_615n;

/** `XADD key [MAXLEN ~ n] id field value …` without its first two words. Trims exactly, where Redis may keep some more. */
export function appended(
  known: StreamValue | null,
  words: readonly string[],
  now: number,
): { stream: StreamValue; id: string } {
  const trims = words[0] === 'MAXLEN';
  const most = trims ? Number(words[2]) : Number.POSITIVE_INFINITY;
  const [wantedId = '*', ...fields] = trims ? words.slice(3) : words;
  const stream = known ?? { entries: [], lastMs: 0n, lastSequence: 0n };
  let [ms, sequence] = [BigInt(Math.floor(now)), 0n];
  if (wantedId !== '*') {
    const [wantedMs = '0', wantedSequence = '0'] = wantedId.split('-');
    [ms, sequence] = [BigInt(wantedMs), BigInt(wantedSequence)];
  } else if (ms <= stream.lastMs) {
    if (stream.lastSequence === largest && stream.lastMs === largest) {
      throw new LuaError('ERR The stream has exhausted the last possible ID, unable to add more items');
    }
    const overflows = stream.lastSequence === largest;
    [ms, sequence] = overflows ? [stream.lastMs + 1n, 0n] : [stream.lastMs, stream.lastSequence + 1n];
  }
  stream.lastMs = ms;
  stream.lastSequence = sequence;
  const id = `${ms}-${sequence}`;
  stream.entries.push({ id, fields });
  if (stream.entries.length > most) stream.entries.splice(0, stream.entries.length - most);
  return { stream, id };
}

/** As `XRANGE key (id +` has them. */
export function entriesAfter(entries: readonly StreamEntry[], id: string): readonly StreamEntry[] {
  const [ms, sequence] = numbersOf(id);
  return entries.filter((entry) => {
    const [entryMs, entrySequence] = numbersOf(entry.id);
    return entryMs > ms || (entryMs === ms && entrySequence > sequence);
  });
}

function numbersOf(id: string): [ms: bigint, sequence: bigint] {
  const [ms = '0', sequence = '0'] = id.split('-');
  return [BigInt(ms), BigInt(sequence)];
}
