import type { Bench } from '../support/bench.ts';
import { ratioInterval, type Rounds } from '../support/intervals.ts';
import { cpuSecondsOf } from '../support/process-usage.ts';
import { median, rounded } from '../support/statistics.ts';
import type { Place } from './place.ts';
import { type Row, ratioRow } from './rows.ts';
import { inTurn } from './turns.ts';
import { prompt, settle, type Wire } from './wire.ts';

const bytes = 101_000_000;
const withinMs = 60_000;
const goals = { output: { atLeast: 0.87 }, cpu: { atMost: 1.15 } };
const usualRounds = 24;
const user = 'output';

/** 101 MB out of the box at a client that parses at once, and what the process between them worked for it. */
export async function measureOutput(bench: Bench, place: Place): Promise<Row[]> {
  const wires = { raw: await place.raw(user), relay: await place.relayed(user), ours: await place.ours(user) };
  for (const wire of Object.values(wires)) await settle(wire);
  const cpu: { relay: number[][]; ours: number[][] } = { relay: [], ours: [] };
  const weighed = async (of: 'relay' | 'ours', pid: number, round: number): Promise<number[]> => {
    const before = await cpuSecondsOf(pid);
    const found = await megabytesPerS(wires[of]);
    const usedS = (await cpuSecondsOf(pid)) - before;
    if (round > 0) cpu[of].push([(usedS / bytes) * 100_000_000]);
    return found;
  };
  const [raw, relay, ours] = await inTurn(bench, place.signal, usualRounds, 'output', [
    () => megabytesPerS(wires.raw),
    (round) => weighed('relay', place.relay.pid, round),
    (round) => weighed('ours', place.gateway.pid, round),
  ]);
  for (const wire of Object.values(wires)) wire.drop();
  const mid = (of: Rounds): string => rounded(median(of.flat()));
  return [
    ratioRow({
      what: 'output, MB/s',
      baseline: `raw exec ${mid(raw)} (relay ${mid(relay)})`,
      ours: mid(ours),
      ratio: ratioInterval(ours, raw, 0.5),
      goal: goals.output,
    }),
    ratioRow({
      what: 'gateway CPU per 100 MB',
      baseline: `relay ${mid(cpu.relay)} s`,
      ours: `${mid(cpu.ours)} s`,
      ratio: ratioInterval(cpu.ours, cpu.relay, 0.5),
      goal: goals.cpu,
    }),
  ];
}

async function megabytesPerS(wire: Wire): Promise<number[]> {
  const beginMs = performance.now();
  const all = wire.counts(bytes, withinMs);
  wire.send(`head -c ${bytes} /dev/zero | tr '\\0' x; echo\r`);
  const tookMs = (await all) - beginMs;
  const seen = wire.sees(prompt);
  wire.send('\r');
  await seen;
  return [bytes / 1e6 / (tookMs / 1_000)];
}
