import { Gauge, type Registry } from 'prom-client';
import type { HomeTotals } from '../homes/totals.ts';

/** What homes take up, as the leader knows it: no user's own, so that no name gets into a label. null = this process does not lead. */
export function createHomeMetrics(registry: Registry): (totals: HomeTotals | null) => void {
  const registers = [registry];
  const measured = new Gauge({
    name: 'spoonbox_homes_measured',
    help: 'Homes whose size is known; 0 where this process does not lead.',
    registers,
  });
  const used = new Gauge({
    name: 'spoonbox_homes_used_bytes',
    help: 'What all homes take up together whose size is known, as each was measured last.',
    registers,
  });
  const largest = new Gauge({
    name: 'spoonbox_home_largest_bytes',
    help: 'What the largest home takes up.',
    registers,
  });
  const over = new Gauge({
    name: 'spoonbox_homes_over_quota',
    help: 'Homes that take up more than their class allows.',
    registers,
  });
  return (totals) => {
    measured.set(totals?.measured ?? 0);
    used.set(totals?.usedBytes ?? 0);
    largest.set(totals?.largestBytes ?? 0);
    over.set(totals?.overQuota ?? 0);
  };
}
