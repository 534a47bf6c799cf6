import { sleep, systemClock } from '#shared/clock.ts';
import type { Bench } from '../support/bench.ts';
import { ratioInterval } from '../support/intervals.ts';
import { median, rounded } from '../support/statistics.ts';
import type { Place } from './place.ts';
import { type Row, ratioRow } from './rows.ts';
import { inTurn } from './turns.ts';
import { leave, type Wire, within } from './wire.ts';

const goal = { atMost: 1.15 };
const usualRounds = 160;
/** A gateway runs for weeks; Node takes some tens of connects until it has compiled what they need. */
const warmUps = 20;
/** Before each try: what the one before has left to do in engine, gateway and controller is no part of it. */
const restMs = 250;
/** In turn, because one user may not open terminals as fast as this. */
const users = ['connect-0', 'connect-1', 'connect-2'];

/** From nothing to the first byte of the shell, token in hand; the box is there. */
export async function measureConnect(bench: Bench, place: Place): Promise<Row[]> {
  const one = async (open: () => Promise<Wire>): Promise<number[]> => {
    await sleep(systemClock, restMs, place.signal);
    const wire = await open();
    const [firstMs] = await within(Promise.all([wire.firstByteMs, wire.ready]), 'first byte');
    await leave(wire);
    return [firstMs];
  };
  const userOf = (round: number): string => users[(round + warmUps) % users.length] ?? '';
  for (const user of users) await place.box(user);
  const [raw, relay, ours] = await inTurn(
    bench,
    place.signal,
    usualRounds,
    'connect',
    [
      (round) => one(() => place.raw(userOf(round))),
      (round) => one(() => place.relayed(userOf(round))),
      (round) => one(() => place.ours(userOf(round))),
    ],
    warmUps,
  );
  const ms = (rounds: readonly (readonly number[])[]): string => `${rounded(median(rounds.flat()))} ms`;
  return [
    ratioRow({
      what: 'connect → first prompt byte, p50',
      baseline: `raw exec ${ms(raw)} (relay ${ms(relay)})`,
      ours: ms(ours),
      ratio: ratioInterval(ours, raw, 0.5),
      goal,
    }),
  ];
}
