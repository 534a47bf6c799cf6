import { type Bench, runBench } from './support/bench.ts';
import { measureConnect, measureFarConnect } from './terminal/connect.ts';
import { measureRealCrowd, measureSimulatedCrowd } from './terminal/crowds.ts';
import { measureDisconnects } from './terminal/disconnects.ts';
import { measureEcho } from './terminal/echo.ts';
import { measureInterrupt } from './terminal/interrupt.ts';
import { measureIdle, measureStalled } from './terminal/memory.ts';
import { measureOutput } from './terminal/output.ts';
import { createPlace, type Place } from './terminal/place.ts';
import { type Row, rowsTable } from './terminal/rows.ts';

/**
 * A terminal through the gateway, beside the engine's own stream and a bare relay, in the same rounds. A goal is met when the
 * whole 95 % interval lies within it. `--only connect,echo` measures some parts.
 */

const onEngine = {
  connect: measureConnect,
  'connect-far': measureFarConnect,
  echo: measureEcho,
  output: measureOutput,
  interrupt: measureInterrupt,
  idle: measureIdle,
  stalled: measureStalled,
  disconnects: measureDisconnects,
  crowd: measureRealCrowd,
} satisfies Readonly<Record<string, (bench: Bench, place: Place) => Promise<Row[]>>>;
const simulatedCrowd = 'crowd-simulated';

await runBench('terminal', async (bench, signal) => {
  const parts = bench.parts([...Object.keys(onEngine), simulatedCrowd]);
  const rows: Row[] = [];
  const failures: string[] = [];
  const measure = async (name: string, part: () => Promise<Row[]>): Promise<void> => {
    signal.throwIfAborted();
    bench.progress(name);
    try {
      const found = await part();
      rows.push(...found);
      // A whole run takes half an hour: what is known is told.
      bench.progress(`${name}\n${rowsTable(found)}`);
    } catch (error) {
      signal.throwIfAborted();
      failures.push(`${name}: could not be measured: ${error instanceof Error ? error.stack : String(error)}`);
    }
  };
  if (parts.some((name) => name !== simulatedCrowd)) {
    await using place = await createPlace(signal);
    for (const [name, part] of Object.entries(onEngine)) {
      if (parts.includes(name)) await measure(name, () => part(bench, place));
    }
  }
  if (parts.includes(simulatedCrowd)) await measure(simulatedCrowd, () => measureSimulatedCrowd(bench, signal));
  bench.record('rows', rows);
  bench.say(rowsTable(rows));
  // What could be measured is told first; a part that could not is never left out in silence.
  if (failures.length > 0) throw new Error(`\n${failures.join('\n')}`);
});
