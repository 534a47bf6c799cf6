import { Gauge, type Registry } from 'prom-client';
import { ReconcilerMode } from '#shared/operator-schemas.ts';

/** The reconciler's mode, as the leader reads it at each look at everything. null = this process does not lead. */
export function createModeMetrics(registry: Registry): (mode: ReconcilerMode | null) => void {
  const gauge = new Gauge({
    name: 'spoonbox_reconciler_mode',
    help: '1 for the mode that operators have set, at whoever leads; else 0.',
    ...{ labelNames: ['mode'] as const, registers: [registry] },
  });
  const set = (now: ReconcilerMode | null): void => {
    for (const mode of ReconcilerMode.options) gauge.set({ mode }, mode === now ? 1 : 0);
  };
  set(null);
  return set;
}
