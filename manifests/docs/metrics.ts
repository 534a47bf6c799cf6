import { noLimits } from '#shared/config.ts';
import type { Registry } from 'prom-client';
import { createApiMetrics } from '../../controller/src/metrics/api-metrics.ts';
import { createControllerMetrics } from '../../controller/src/metrics/controller-metrics.ts';
import { GatewayMeter } from '../../gateway/src/metrics/gateway-meter.ts';

export interface MetricRow {
  readonly name: string;
  readonly type: string;
  readonly labels: readonly string[];
  readonly help: string;
}

/** Every metric of our own, from the very objects that count. */
export function metricRows(): { controller: MetricRow[]; gateway: MetricRow[] } {
  const { registry } = createControllerMetrics({ workers: 0, limits: noLimits });
  createApiMetrics(registry, () => 0);
  const meter = new GatewayMeter();
  const counts = { sessions: 0, ringBytes: 0, opened: 0, sockets: 0, jobs: 0, jobsStarted: 0 };
  meter.watch(() => counts, { sessionsPerGateway: 0, jobsPerGateway: 0 });
  return { controller: rowsOf(registry), gateway: rowsOf(meter.registry) };
}

function rowsOf(registry: Registry): MetricRow[] {
  return registry
    .getMetricsAsArray()
    .map((metric) => ({ name: metric.name, type: String(metric.type), labels: labelsOf(metric), help: metric.help }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** prom-client does not declare that its metrics know their labels. */
function labelsOf(metric: object): string[] {
  if (!('labelNames' in metric) || !Array.isArray(metric.labelNames)) return [];
  return metric.labelNames.map(String).filter((label) => label !== 'le');
}
