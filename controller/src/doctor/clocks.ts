import { askClock, clockFinding } from '#shared/clock-skew.ts';
import type { Check } from './check.ts';

const than = "the controller's";
const bounds = 'more than 1.5 s is a warning, more than 5 s a failure';

export const redisClockCheck: Check = {
  name: 'clock of Redis',
  looksAt: `The clock of Redis' machine is the controller's: ${bounds}.`,
  needsRedis: true,
  async run({ wallClockMs, readRedis }) {
    const its = await askClock(wallClockMs, async () => (await readRedis()).timeMs);
    return [clockFinding('Redis', its, than)];
  },
};

export const engineClockCheck: Check = {
  name: 'clock of the engine',
  looksAt: "The same of the engine's machine.",
  async run(deps, signal) {
    const engine = await deps.engine();
    const its = await askClock(deps.wallClockMs, async () => (await engine.about(signal)).timeMs);
    return [clockFinding('the engine', its, than)];
  },
};
