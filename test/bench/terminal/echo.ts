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
/** Between two keys, so that each finds everything at rest; not always the same, so that no timer is always met. */
const pauseMs = { least: 6, more: 10 };
const user = 'echo';

/** A key and its echo by the terminal itself, under a program that reads and says nothing: no shell's own time is in it. */
export async function measureEcho(bench: Bench, place: Place): Promise<Row[]> {
  const rounds = bench.number('rounds', usualRounds);
  const wires = [await place.raw(user), await place.piped(user), await place.relayed(user), await place.ours(user)];
  const samples: number[][][] = wires.map(() => []);
  for (const wire of wires) {
    await settle(wire);
    wire.send('cat > /dev/null\r');
  }
  await sleep(systemClock, 500, place.signal);
  for (let round = 0; round <= rounds; round++) {
    const ofRound = wires.map((): number[] => []);
    for (let key = 0; key < keysPerRound; key++) {
      for (let turn = 0; turn < wires.length; turn++) {
        const index = (key + turn) % wires.length;
        const wire = wires[index];
        if (wire === undefined) throw new Error(`there is no terminal ${index}`);
        await sleep(systemClock, pauseMs.least + Math.random() * pauseMs.more, place.signal);
        ofRound[index]?.push(await echoMs(wire, 'k'));
      }
    }
    for (const wire of wires) await echoMs(wire, '\r');
    if (round > 0) ofRound.forEach((found, index) => void samples[index]?.push(found));
    if (round % 10 === 0) bench.progress(`echo: round ${round} of ${rounds}`);
  }
  for (const wire of wires) wire.drop();
  const [raw = [], pipe = [], relay = [], ours = []] = samples;
  return goals.map(({ name, p, goal }) => {
    const ms = (of: Rounds): string => `${rounded(percentile(of.flat(), p))} ms`;
    return ratioRow({
      what: `echo of a key, ${name}`,
      baseline: `raw exec ${ms(raw)} (byte pipe ${ms(pipe)}, relay ${ms(relay)})`,
      ours: ms(ours),
      ratio: ratioInterval(ours, raw, p),
      goal,
    });
  });
}

async function echoMs(wire: Wire, key: string): Promise<number> {
  const seen = wire.until(() => true, 'echo', 5_000);
  const beginMs = performance.now();
  wire.send(key);
  return (await seen) - beginMs;
}
