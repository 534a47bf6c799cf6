import { sleep, systemClock } from '#shared/clock.ts';
import type { Bench } from '../support/bench.ts';
import { intervalText, ratioInterval } from '../support/intervals.ts';
import { median, rounded } from '../support/statistics.ts';
import type { Place } from './place.ts';
import { type Row, ratioRow } from './rows.ts';
import { inTurn, type RoundSamples } from './turns.ts';
import { leave, type Wire, within } from './wire.ts';

const goal = { atMost: 1.15 };
const usualRounds = 160;
const farMs = 25;
const usualFarRounds = 40;
/** A gateway runs for weeks; Node takes some tens of connects until it has compiled what they need. */
const warmUps = 20;
/** Before each try: what the one before has left to do in engine, gateway and controller is no part of it. */
const restMs = 250;
/** In turn, because one user may not open terminals as fast as this. */
const users = ['connect-0', 'connect-1', 'connect-2'];

/** From nothing to the first byte of the shell, token in hand; the box is there. */
export async function measureConnect(bench: Bench, place: Place): Promise<Row[]> {
  const { raw, relay, ours } = await connects(bench, place, place, 'connect', usualRounds);
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

/** The same from far away, where what counts is how often a client has to wait for an answer before its shell starts. */
export async function measureFarConnect(bench: Bench, place: Place): Promise<Row[]> {
  const { raw, relay, ours } = await connects(bench, place, await place.far(farMs), 'far', usualFarRounds);
  return [
    {
      what: `connect over ${farMs} ms each way, p50`,
      baseline: `raw exec ${ms(raw)} (relay ${ms(relay)})`,
      ours: ms(ours),
      ratio: intervalText(ratioInterval(ours, raw, 0.5)),
      goal: '',
      isMet: null,
    },
  ];
}

async function connects(
  bench: Bench,
  place: Place,
  by: Pick<Place, 'raw' | 'relayed' | 'ours'>,
  name: string,
  usual: number,
): Promise<{ raw: RoundSamples; relay: RoundSamples; ours: RoundSamples }> {
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
    usual,
    name,
    [
      (round) => one(() => by.raw(userOf(round))),
      (round) => one(() => by.relayed(userOf(round))),
      (round) => one(() => by.ours(userOf(round))),
    ],
    warmUps,
  );
  return { raw, relay, ours };
}

function ms(rounds: readonly (readonly number[])[]): string {
  return `${rounded(median(rounds.flat()))} ms`;
}
