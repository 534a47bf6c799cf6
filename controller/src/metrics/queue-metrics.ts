import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { shortSeconds } from '#shared/metrics.ts';
import type { PassResult, QueueEvent } from '../loop-events.ts';

/** As client-go and controller-runtime name them, so that dashboards that exist can be used as they are. */
const queueLabels = { name: 'boxes' } as const;
const controllerLabels = { controller: 'boxes' } as const;
const results: readonly PassResult[] = ['success', 'requeue', 'requeue_after', 'error'];

/** The keyed queue and its passes. */
export function createQueueMetrics(registry: Registry, workers: () => number): (event: QueueEvent) => void {
  const registers = [registry];
  /** when each pass that runs began, the earliest first */
  const running = new Map<string, number>();
  let waiting = 0;

  const names = ['name'] as const;
  new Gauge({
    ...{ name: 'workqueue_depth', help: 'Users who wait for a pass.', labelNames: names, registers },
    collect() {
      this.set(queueLabels, waiting);
    },
  });
  const adds = new Counter({
    ...{ name: 'workqueue_adds_total', help: 'Users who were put into the queue.', labelNames: names, registers },
  });
  const queued = new Histogram({
    ...{ name: 'workqueue_queue_duration_seconds', help: 'How long a user waited for a pass.', registers },
    ...{ labelNames: names, buckets: shortSeconds },
  });
  const worked = new Histogram({
    ...{ name: 'workqueue_work_duration_seconds', help: 'How long a pass took.', registers },
    ...{ labelNames: names, buckets: shortSeconds },
  });
  const retries = new Counter({
    name: 'workqueue_retries_total',
    help: 'Passes that asked for another one, at once, after a wait, or because they threw.',
    ...{ labelNames: names, registers },
  });
  new Gauge({
    name: 'workqueue_unfinished_work_seconds',
    help: 'How long the passes that run now have run, together. One that grows and grows is stuck.',
    ...{ labelNames: names, registers },
    collect() {
      const now = performance.now();
      let unfinishedMs = 0;
      for (const beganAtMs of running.values()) unfinishedMs += now - beganAtMs;
      this.set(queueLabels, unfinishedMs / 1_000);
    },
  });
  new Gauge({
    name: 'workqueue_longest_running_processor_seconds',
    help: 'How long the pass that has run longest has run.',
    ...{ labelNames: names, registers },
    collect() {
      const first = running.values().next();
      this.set(queueLabels, first.done ? 0 : (performance.now() - first.value) / 1_000);
    },
  });

  const controllerNames = ['controller'] as const;
  const reconciles = new Counter({
    name: 'controller_runtime_reconcile_total',
    help: 'Passes by how they ended: success, requeue (at once), requeue_after (a wait), error (it threw).',
    ...{ labelNames: ['controller', 'result'] as const, registers },
  });
  const errors = new Counter({
    name: 'controller_runtime_reconcile_errors_total',
    help: 'Passes that threw. A command that the engine refused is no error of the pass.',
    ...{ labelNames: controllerNames, registers },
  });
  const took = new Histogram({
    name: 'controller_runtime_reconcile_time_seconds',
    help: 'How long a pass took.',
    ...{ labelNames: controllerNames, registers, buckets: shortSeconds },
  });
  new Gauge({
    ...{ name: 'controller_runtime_active_workers', help: 'Passes that run now.', registers },
    labelNames: controllerNames,
    collect() {
      this.set(controllerLabels, running.size);
    },
  });
  new Gauge({
    ...{ name: 'controller_runtime_max_concurrent_reconciles', help: 'Passes that may run at once.', registers },
    labelNames: controllerNames,
    collect() {
      this.set(controllerLabels, workers());
    },
  });

  // A series that begins with its first error cannot show that error as an increase.
  adds.inc(queueLabels, 0);
  retries.inc(queueLabels, 0);
  errors.inc(controllerLabels, 0);
  const byResult = new Map(results.map((result) => [result, { ...controllerLabels, result }]));
  for (const labels of byResult.values()) reconciles.inc(labels, 0);

  return (event) => {
    switch (event.type) {
      case 'queued':
        waiting += 1;
        adds.inc(queueLabels);
        return;
      case 'pass-began':
        waiting -= 1;
        running.set(event.key, performance.now());
        queued.observe(queueLabels, event.waitedMs / 1_000);
        return;
      case 'pass-ended': {
        const seconds = event.tookMs / 1_000;
        running.delete(event.key);
        worked.observe(queueLabels, seconds);
        took.observe(controllerLabels, seconds);
        reconciles.inc(byResult.get(event.result) ?? controllerLabels);
        if (event.result === 'error') errors.inc(controllerLabels);
        if (event.result !== 'success') retries.inc(queueLabels);
        return;
      }
      case 'queue-closed':
        waiting = 0;
        running.clear();
    }
  };
}
