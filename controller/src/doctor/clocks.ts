import { askClock, clockFinding } from '#shared/clock-skew.ts';
import type { Check } from './check.ts';

const than = "the controller's";

export const clocksCheck: Check = {
  name: 'clock',
  looksAt:
    "The clocks of Redis' and of the engine's machine are the controller's: more than 1.5 s is a warning, more than 5 s a failure.",
  async run(deps, signal) {
    const redis = await askClock(deps.wallClockMs, async () => (await deps.readRedis()).timeMs);
    const found = [clockFinding('Redis', redis, than)];
    const engine = await deps.engine().catch(() => null);
    if (engine === null) return found;
    const its = await askClock(deps.wallClockMs, async () => (await engine.about(signal)).timeMs);
    return [...found, clockFinding('the engine', its, than)];
  },
};
