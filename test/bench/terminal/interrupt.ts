import { sleep, systemClock } from '#shared/clock.ts';
import type { Bench } from '../support/bench.ts';
import { valueInterval } from '../support/intervals.ts';
import { median, rounded } from '../support/statistics.ts';
import type { Place } from './place.ts';
import { type Row, valueRow } from './rows.ts';
import { parseSlowly } from './slow-parser.ts';
import { inTurn } from './turns.ts';
import { leave, prompt, settle, type Wire } from './wire.ts';

const goal = { atMost: 0.25 };
const floodMs = 3_000;
/** Of a line of text, because the terminal of the box makes less than the client parses of `y` alone. */
const flood = `yes ${'spoonbox '.repeat(8).trim()}`;
const parsedPerS = 10_000_000;
/** What counts as 10 MB/s. */
const reachedShare = 0.95;
const withinMs = 60_000;
const usualRounds = 10;
const user = 'interrupt';

/**
 * `yes` at a client that parses 10 MB/s, as xterm.js does; then Ctrl-C, until the prompt is parsed too. The raw stream and the
 * relay are read by a client that never reads faster than it parses, which a browser cannot do.
 */
export async function measureInterrupt(bench: Bench, place: Place): Promise<Row[]> {
  const floods: number[] = [];
  const [raw, relay, ours] = await inTurn(bench, place.signal, usualRounds, 'Ctrl-C', [
    async () => [(await interrupt(await place.raw(user), place.signal)).tookS],
    async () => [(await interrupt(await place.relayed(user), place.signal)).tookS],
    async () => {
      const { tookS, megabytesPerS } = await interrupt(await place.ours(user), place.signal);
      floods.push(megabytesPerS);
      return [tookS];
    },
  ]);
  const s = (of: readonly (readonly number[])[]): string => `${rounded(median(of.flat()))} s`;
  const row = valueRow({
    what: `Ctrl-C → prompt, ${floodMs / 1_000} s of yes, ${rounded(median(floods))} MB/s parsed`,
    baseline: `raw exec ${s(raw)}, relay ${s(relay)}`,
    unit: 's',
    value: valueInterval(ours, 0.5),
    goal,
  });
  // A client that had nothing to parse has proved nothing.
  return [{ ...row, isMet: row.isMet === true && median(floods) >= reachedShare * (parsedPerS / 1e6) }];
}

async function interrupt(wire: Wire, signal: AbortSignal): Promise<{ tookS: number; megabytesPerS: number }> {
  await settle(wire);
  const parser = parseSlowly(wire, parsedPerS);
  wire.send(`${flood}\r`);
  await sleep(systemClock, floodMs, signal);
  const megabytesPerS = parser.parsedBytes / 1e6 / (floodMs / 1_000);
  const beginMs = performance.now();
  const seen = parser.sees(prompt, withinMs);
  wire.send('\x03');
  const tookMs = (await seen) - beginMs;
  parser.stop();
  await leave(wire);
  return { tookS: tookMs / 1_000, megabytesPerS };
}
