import { once } from 'node:events';
import { systemClock } from '#shared/clock.ts';
import { createLogger } from '#shared/log.ts';
import { boundDrain, runProcess } from '#shared/run-process.ts';
import { createEngine } from './engine.ts';
import { createFilter } from './filter.ts';
import { defaultFilterLimits as limits } from './limits.ts';
import { readFilterSettings } from './settings.ts';

/** What is left of the drain for cutting what is still open. */
const closingMs = 500;

await runProcess('filter', async (signal) => {
  const { socket, engine: address, installation, logLevel, drainMs } = readFilterSettings(process.env);
  const log = createLogger({ name: 'filter', level: logLevel });
  boundDrain(signal, drainMs, log);
  const engine = createEngine(address, limits);
  const filter = createFilter({ engine, installation, clock: systemClock, log, limits });
  await filter.listen(socket);
  log.info({ socket, installation }, 'filter lets a gateway into the boxes of this installation');
  if (!signal.aborted) await once(signal, 'abort');
  await filter.drain(Math.max(0, drainMs - closingMs));
  log.info('stopped');
});
