import { Gauge, Histogram, type Registry } from 'prom-client';
import type { Limits } from '#shared/config.ts';
import { createRegistry, shortSeconds } from '#shared/metrics.ts';
import type { OnLoopEvent } from '../loop-events.ts';
import { createBoxMetrics } from './box-metrics.ts';
import { createCapacityMetrics } from './capacity-metrics.ts';
import { createHomeMetrics } from './home-metrics.ts';
import { createModeMetrics } from './mode-metrics.ts';
import { createQueueMetrics } from './queue-metrics.ts';

export interface ControllerMetrics {
  readonly registry: Registry;
  /** what the loop tells is counted */
  readonly onEvent: OnLoopEvent;
}

/** All metrics of a controller's loop and of its leadership; those of the API are added where it is made. */
export function createControllerMetrics(options: {
  readonly workers: number;
  readonly limits: Limits;
}): ControllerMetrics {
  const registry = createRegistry();
  const registers = [registry];
  const queue = createQueueMetrics(registry, () => options.workers);
  const boxes = createBoxMetrics(registry);
  const mode = createModeMetrics(registry);
  const capacity = createCapacityMetrics(registry, options.limits);
  const homes = createHomeMetrics(registry);

  const leads = new Gauge({
    name: 'leader_election_master_status',
    help: '1 where this process leads, else 0.',
    ...{ labelNames: ['name'] as const, registers },
  });
  const name = 'spoonbox-controller';
  leads.set({ name }, 0);
  const calls = new Histogram({
    name: 'spoonbox_engine_calls_seconds',
    help: 'Requests to the container engine, by what they were for and how they ended: ok, or the kind of the fault.',
    ...{ labelNames: ['call', 'result'] as const, registers, buckets: [...shortSeconds, 30, 60] },
  });

  return {
    registry,
    onEvent(event) {
      switch (event.type) {
        case 'queued':
        case 'pass-began':
        case 'pass-ended':
        case 'queue-closed':
          queue(event);
          return;
        case 'engine-called':
          calls.observe({ call: event.call, result: event.fault ?? 'ok' }, event.tookMs / 1_000);
          return;
        case 'leading':
          leads.set({ name }, event.leads ? 1 : 0);
          if (!event.leads) {
            mode(null);
            homes(null);
          }
          boxes(event);
          capacity(event);
          return;
        case 'capacity':
        case 'admitted':
          capacity(event);
          return;
        case 'homes-known':
          homes(event);
          return;
        case 'mode-read':
          mode(event.mode);
          return;
        default:
          boxes(event);
      }
    },
  };
}
