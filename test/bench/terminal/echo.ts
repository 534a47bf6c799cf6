import { sleep, systemClock } from '#shared/clock.ts';
import type { Bench } from '../support/bench.ts';
import { ratioInterval, type Rounds } from '../support/intervals.ts';
import { percentile, rounded } from '../support/statistics.ts';
import type { Place } from './place.ts';
import { type Row, ratioRow } from './rows.ts';
import { settle, type Wire } from './wire.ts';

const goals = [
  { name: 'p50', p: 0.5, goal: { atMost: 1.6 } },
  { name: 'p99', p: 0.99, goal: { atMost: 1.5 } },
];
const usualRounds = 40;
/** Less than a line of the terminal, which then is ended. */
const keysPerRound = 60;
/** A pause in which all comes to rest; not always the same, so that no timer is always met. */
const pauseMs = { least: 6, more: 10 };
/** A person's keys find all at rest. A program that asks and answers (a script, an editor that queries its terminal) pauses for nothing. */
const paces = ['at rest', 'back to back'] as const;
const user = 'echo';

/** A key and its echo by the terminal itself, under a program that reads and says nothing: no shell's own time is in it. */
export async function measureEcho(bench: Bench, place: Place): Promise<Row[]> {
  const rounds = bench.number('rounds', usualRounds);
  const wires = [await place.raw(user), await place.piped(user), await place.relayed(user), await place.ours(user)];
  for (const wire of wires) {
    await settle(wire);
    wire.send('cat > /dev/null\r');
  }
  await sleep(systemClock, 500, place.signal);
  const rows: Row[] = [];
  for (const pace of paces) {
    const samples: number[][][] = wires.map(() => []);
    for (let round = 0; round <= rounds; round++) {
      const ofRound =
        pace === 'at rest' ? await inTurns(wires, place.signal) : await oneByOne(wires, round, place.signal);
      for (const wire of wires) await echoMs(wire, '\r');
      if (round > 0) ofRound.forEach((found, index) => void samples[index]?.push(found));
      if (round % 10 === 0) bench.progress(`echo ${pace}: round ${round} of ${rounds}`);
    }
    rows.push(...rowsOf(pace, samples));
  }
  for (const wire of wires) wire.drop();
  return rows;
}

function rowsOf(pace: string, [raw = [], pipe = [], relay = [], ours = []]: readonly Rounds[]): Row[] {
  return goals.map(({ name, p, goal }) => {
    const ms = (of: Rounds): string => `${rounded(percentile(of.flat(), p))} ms`;
    return ratioRow({
      what: `echo of a key, ${pace}, ${name}`,
      baseline: `raw exec ${ms(raw)} (byte pipe ${ms(pipe)}, relay ${ms(relay)})`,
      ours: ms(ours),
      ratio: ratioInterval(ours, raw, p),
      goal,
    });
  });
}

/** A key at each terminal after another, with pauses. In ms, by terminal. */
async function inTurns(wires: readonly Wire[], signal: AbortSignal): Promise<number[][]> {
  const found = wires.map((): number[] => []);
  for (let key = 0; key < keysPerRound; key++) {
    for (let turn = 0; turn < wires.length; turn++) {
      const [wire, samples] = at(wires, found, key + turn);
      await sleep(systemClock, pauseMs.least + Math.random() * pauseMs.more, signal);
      samples.push(await echoMs(wire, 'k'));
    }
  }
  return found;
}

/** All keys at one terminal, each as soon as the one before was echoed; then at the next. In ms, by terminal. */
async function oneByOne(wires: readonly Wire[], round: number, signal: AbortSignal): Promise<number[][]> {
  const found = wires.map((): number[] => []);
  for (let turn = 0; turn < wires.length; turn++) {
    const [wire, samples] = at(wires, found, round + turn);
    await sleep(systemClock, pauseMs.least + pauseMs.more, signal);
    for (let key = 0; key < keysPerRound; key++) samples.push(await echoMs(wire, 'k'));
  }
  return found;
}

function at(wires: readonly Wire[], found: readonly number[][], turn: number): [Wire, number[]] {
  const index = turn % wires.length;
  const [wire, samples] = [wires[index], found[index]];
  if (wire === undefined || samples === undefined) throw new Error(`there is no terminal ${index}`);
  return [wire, samples];
}

async function echoMs(wire: Wire, key: string): Promise<number> {
  const seen = wire.until(() => true, 'echo', 5_000);
  const beginMs = performance.now();
  wire.send(key);
  return (await seen) - beginMs;
}
