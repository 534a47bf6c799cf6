import { sleep, systemClock } from '#shared/clock.ts';
import type { Bench } from '../support/bench.ts';
import { openPatiently, type Place } from './place.ts';
import type { Row } from './rows.ts';
import { settle, within } from './wire.ts';

const usualCount = 500;
const rawCount = 10;
const atOnce = 6;
/** So that dropped terminals, which are kept for their users, end within the benchmark. */
const graceMs = 5_000;
const goneWithinMs = 120_000;
const lookMs = 500;
/** One of these many is dropped while it is still being opened, at any moment of the first so many ms. */
const earlyEvery = 10;
const earlyMs = 150;
const users = ['gone-0', 'gone-1', 'gone-2', 'gone-3'];
const programs = ['', 'sleep 1000\r', 'sleep 1000 & (trap "" INT; sleep 1000)\r', 'yes\r'];

/** Terminals that end in every way, with programs in them; then what of them is left in the boxes and in Redis. */
export async function measureDisconnects(bench: Bench, place: Place): Promise<Row[]> {
  const count = bench.number('sessions', usualCount);
  const gateway = await place.startGateway({ SPOON_TERMINAL_GRACE_MS: String(graceMs) });
  for (const user of users) await place.box(user);
  for (let index = 0; index < rawCount; index++) {
    const wire = await place.raw(userOf(index));
    await settle(wire);
    wire.drop();
  }

  async function one(index: number): Promise<void> {
    const user = userOf(index);
    if (index % earlyEvery === 0) {
      const gone = AbortSignal.timeout(Math.ceil(Math.random() * earlyMs));
      const wire = await place.ours(user, { gateway, signal: gone });
      // Mostly refused by its own end; one that was faster is a terminal that is dropped like others.
      await within(Promise.allSettled([wire.ready, wire.ended]), 'end of a dropped terminal');
      return;
    }
    const wire = await openPatiently(() => place.ours(user, { gateway }), place.signal);
    await settle(wire);
    wire.send(programs[index % programs.length] ?? '');
    await sleep(systemClock, Math.random() * 100, place.signal);
    if (index % 2 === 0) wire.drop();
    else await wire.close();
  }
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) {
      place.signal.throwIfAborted();
      await one(index);
      if (index % 50 === 0) bench.progress(`disconnects: ${index} of ${count}`);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));

  const giveUpAt = performance.now() + goneWithinMs;
  let left = await leftover(place);
  while (left.ours + left.records > 0 && performance.now() < giveUpAt) {
    await sleep(systemClock, lookMs, place.signal);
    left = await leftover(place);
  }
  await gateway.stop();
  bench.record('disconnects', { count, graceMs, left });
  return [
    {
      what: `processes left after ${count} disconnects`,
      baseline: `raw exec: ${left.raw} of ${rawCount} shells`,
      ours: `${left.ours}, and ${left.records} records`,
      ratio: '',
      goal: '0',
      isMet: left.ours === 0 && left.records === 0,
    },
  ];
}

function userOf(index: number): string {
  return users[(index + Math.floor(index / users.length)) % users.length] ?? '';
}

async function leftover(place: Place): Promise<{ ours: number; raw: number; records: number }> {
  const sum = { ours: 0, raw: 0, records: 0 };
  for (const user of users) {
    const { ours, raw } = await place.leftIn(user);
    sum.ours += ours;
    sum.raw += raw;
    sum.records += await place.sessionsOf(user);
  }
  return sum;
}
