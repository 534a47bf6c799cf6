import { Gauge, Histogram, type Registry } from 'prom-client';
import type { Limits } from '#shared/config.ts';
import { longSeconds } from '#shared/metrics.ts';
import type { LoopEvent } from '../loop-events.ts';

type CapacityEvent = Extract<LoopEvent, { type: 'capacity' | 'admitted' | 'leading' }>;
const nothing = { boxes: 0, memoryBytes: 0, waiting: 0 };

/** Places of boxes, as the leader has them; a process that does not lead has none. */
export function createCapacityMetrics(registry: Registry, limits: Limits): (event: CapacityEvent) => void {
  const registers = [registry];
  let told = nothing;
  const gauge = (name: string, help: string, value: () => number): void => {
    new Gauge({
      ...{ name, help, registers },
      collect() {
        this.set(value());
      },
    });
  };
  gauge('spoonbox_places_taken', 'Boxes that run, or that may at any moment.', () => told.boxes);
  gauge(
    'spoonbox_places_limit',
    'The most boxes that may be there at once (SPOON_BOX_MAX); 0 = no limit.',
    () => limits.boxes ?? 0,
  );
  gauge('spoonbox_places_memory_bytes', "The memory caps of those boxes' classes, together.", () => told.memoryBytes);
  gauge(
    'spoonbox_places_memory_limit_bytes',
    'The most that they may be together (SPOON_BOX_MEMORY); 0 = no limit.',
    () => limits.memoryBytes ?? 0,
  );
  gauge('spoonbox_places_waiting', 'Users who wait in line for a place.', () => told.waiting);
  const waited = new Histogram({
    name: 'spoonbox_places_wait_seconds',
    help: 'How long those who had to wait in line waited, from the lease to the place.',
    ...{ registers, buckets: [...longSeconds, 1_800, 3_600] },
  });

  return (event) => {
    switch (event.type) {
      case 'capacity':
        told = event;
        return;
      case 'admitted':
        waited.observe(event.afterMs / 1_000);
        return;
      case 'leading':
        if (!event.leads) told = nothing;
    }
  };
}
