import { collectDefaultMetrics, Registry } from 'prom-client';

/** The event loop is looked at this often for its delay: each look wakes an idle process. */
const eventLoopEveryMs = 100;

/** Seconds, from a tenth of a millisecond to ten: what a pass, a call on the engine or an echo may take. */
export const shortSeconds = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
/** Seconds, from a tenth to ten minutes: what a box may take to be there, image and all. */
export const longSeconds = [0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600];

/** One process's metrics. No label ever holds a user's name, or anything else that a client can choose. */
export function createRegistry(): Registry {
  return new Registry();
}

/** `process_*` and `nodejs_*`, as prom-client has them: it watches garbage collection and the event loop from now on. */
export function addProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: eventLoopEveryMs });
}
