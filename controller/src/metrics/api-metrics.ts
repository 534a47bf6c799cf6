import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { shortSeconds } from '#shared/metrics.ts';

export interface ApiMetrics {
  /** `tookMs` null: it lasts as long as its reader wants, which says nothing of how fast the API is. */
  answered(method: string, route: string, code: number, tookMs: number | null): void;
}

/** What is counted of the API's requests. */
export function createApiMetrics(registry: Registry, watches: () => number): ApiMetrics {
  const registers = [registry];
  const requests = new Counter({
    name: 'spoonbox_http_requests_total',
    help: 'Requests to the API, by route and answer; route "none" is a path that there is not.',
    ...{ labelNames: ['method', 'route', 'code'] as const, registers },
  });
  const took = new Histogram({
    name: 'spoonbox_http_request_seconds',
    help: 'How long an answer took, watches left out. Taking a lease with waitMs takes as long as it waits.',
    ...{ labelNames: ['method', 'route'] as const, registers, buckets: shortSeconds },
  });
  new Gauge({
    ...{ name: 'spoonbox_watches', help: 'Watches that are open.', registers },
    collect() {
      this.set(watches());
    },
  });
  return {
    answered(method, route, code, tookMs) {
      requests.inc({ method, route, code: String(code) });
      if (tookMs !== null) took.observe({ method, route }, tookMs / 1_000);
    },
  };
}
