import { sleep, systemClock } from '#shared/clock.ts';
import type { GatewayProcess } from '../../support/gateway-process.ts';
import type { Bench } from '../support/bench.ts';
import { valueInterval } from '../support/intervals.ts';
import { residentBytesOf } from '../support/process-usage.ts';
import { median, rounded } from '../support/statistics.ts';
import { openPatiently, type Place } from './place.ts';
import { type Row, valueRow } from './rows.ts';
import { settle, type Wire, within } from './wire.ts';

const idle = { terminals: 100, perUser: 25, rounds: 10, restMs: 3_000, goal: { atMost: 50 } };
const stalled = { warmUpMs: 3_000, watchedMs: 15_000, lookMs: 250, goalMib: 8, ringMib: 1 };
const collectingGateway = new URL('../support/collecting-gateway.ts', import.meta.url).pathname;
const kib = 1_024;
const mib = 1_024 * kib;

/**
 * What a gateway grows by with each further hundred terminals that do nothing; all stay open. They show a prompt: their rings hold
 * 100 bytes or so. What opening them has left as garbage is collected before each look: when V8 does that by itself is not theirs.
 */
export async function measureIdle(bench: Bench, place: Place): Promise<Row[]> {
  const count = bench.number('sessions', idle.terminals);
  const gateway = await place.startGateway({}, collectingGateway);
  const open = async (round: number, index: number): Promise<Wire> => {
    // Neighbours are of different users, because one user may not open terminals as fast as this.
    const user = `idle-${round}-${index % Math.ceil(count / idle.perUser)}`;
    const wire = await openPatiently(() => place.ours(user, { gateway }), place.signal);
    await within(wire.firstByteMs, 'first byte');
    return wire;
  };
  const eachKib: number[][] = [];
  const wires: Wire[] = [];
  let withoutMib = 0;
  // What the first terminals cost the process (code that is compiled, pools that are filled) is no terminal's: round 0.
  for (let round = 0; round <= bench.number('rounds', idle.rounds); round++) {
    const before = await restingBytes(gateway, place);
    for (let index = 0; index < count; index++) wires.push(await open(round, index));
    const after = await restingBytes(gateway, place);
    bench.progress(`idle: round ${round}, ${rounded(before / mib)} and ${rounded(after / mib)} MiB`);
    if (round === 0) withoutMib = before / mib;
    else eachKib.push([(after - before) / count / kib]);
  }
  for (const wire of wires) await wire.close();
  await gateway.stop();
  bench.record('idle', { count, eachKib });
  return [
    valueRow({
      what: `memory per idle terminal (${eachKib.length} × ${count} more)`,
      baseline: `without: ${rounded(withoutMib)} MiB`,
      unit: 'KiB',
      value: valueInterval(eachKib, 0.5),
      goal: idle.goal,
    }),
  ];
}

/**
 * `yes` at a client that does not read any more: alone, and beside one at the same session that does, so that the session
 * cannot simply stand still.
 */
export async function measureStalled(bench: Bench, place: Place): Promise<Row[]> {
  const rows: Row[] = [];
  for (const isAlone of [true, false]) {
    // A session that is dropped keeps its ring for the grace: one gateway for each.
    const gateway = await place.startGateway({});
    const session = `stalled-${isAlone ? 'alone' : 'beside'}`;
    const open = (): Promise<Wire> => place.ours('stalled', { gateway, session });
    const wire = await open();
    await settle(wire);
    let healthyBytes = 0;
    const healthy = isAlone ? null : await open();
    if (healthy !== null) await within(healthy.ready, 'shell');
    healthy?.listen((chunk) => {
      healthyBytes += chunk.length;
      healthy.parsed(chunk.length);
    });
    wire.send('yes\r');
    await sleep(systemClock, stalled.warmUpMs, place.signal);
    wire.listen(() => {});
    wire.stall();
    const bytes: number[] = [];
    const beganMs = performance.now();
    healthyBytes = 0;
    while (performance.now() - beganMs < stalled.watchedMs) {
      bytes.push(await residentBytesOf(gateway.pid));
      await sleep(systemClock, stalled.lookMs, place.signal);
    }
    const ringMib = (await ringBytesOf(gateway)) / mib;
    const healthyMbPerS = healthyBytes / 1e6 / ((performance.now() - beganMs) / 1_000);
    wire.drop();
    healthy?.send('\x03');
    await healthy?.close();
    bench.record(session, { bytes, ringMib, healthyMbPerS });
    // The end against the beginning: in between, the runtime may collect its garbage whenever it likes.
    const quarter = Math.ceil(bytes.length / 4);
    const grownMib = (median(bytes.slice(-quarter)) - median(bytes.slice(0, quarter))) / mib;
    const isFlat = grownMib <= stalled.goalMib && ringMib <= stalled.ringMib;
    rows.push({
      what: `a stalled client, ${stalled.watchedMs / 1_000} s of yes, ${isAlone ? 'alone' : 'beside a healthy one'}`,
      baseline: isAlone ? '' : `the healthy one: ${rounded(healthyMbPerS)} MB/s`,
      ours: `${rounded(grownMib)} MiB, ring ${rounded(ringMib)} MiB`,
      ratio: '',
      goal: `≤ ${stalled.goalMib} MiB, ring ≤ ${stalled.ringMib} MiB${isAlone ? '' : ', output goes on'}`,
      isMet: isFlat && (isAlone || healthyMbPerS > 1),
    });
    await gateway.stop();
  }
  return rows;
}

/** Of all its terminals: here, of one. */
async function ringBytesOf({ port }: GatewayProcess): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const [, bytes] = /^spoonbox_gateway_ring_bytes (\d+)$/m.exec(text) ?? [];
  if (bytes === undefined) throw new Error('the gateway does not tell what its rings hold');
  return Number(bytes);
}

async function restingBytes(gateway: GatewayProcess, place: Place): Promise<number> {
  gateway.signal('SIGUSR2');
  await sleep(systemClock, idle.restMs, place.signal);
  const looks: number[] = [];
  for (let look = 0; look < 10; look++) {
    looks.push(await residentBytesOf(gateway.pid));
    await sleep(systemClock, 100, place.signal);
  }
  return median(looks);
}
