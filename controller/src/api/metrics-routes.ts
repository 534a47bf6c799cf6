import { Counter, Gauge, Histogram } from 'prom-client';
import { NoQuery } from '#shared/api-schemas.ts';
import { shortSeconds } from '#shared/metrics.ts';
import type { Api } from './api.ts';

/** What lasts as long as its reader wants says nothing of how fast the API is. */
const streams = /[?&](watch|follow)=/;
const otherRoute = 'none';

/** `GET /metrics` for Prometheus, and what is counted of all requests. To be added before the routes. */
export function addMetricsRoutes({ app, metrics, watches }: Pick<Api, 'app' | 'metrics' | 'watches'>): void {
  const { registry } = metrics;
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
      this.set(watches.count);
    },
  });

  app.addHook('onRequest', async (request, reply) => {
    const route = request.routeOptions.url ?? otherRoute;
    const { method } = request;
    reply.raw.once('close', () => {
      const code = String(reply.raw.statusCode);
      requests.inc({ method, route, code });
      if (!streams.test(request.url)) took.observe({ method, route }, reply.elapsedTime / 1_000);
    });
  });

  app.get('/metrics', { schema: { querystring: NoQuery } }, async (_request, reply) => {
    reply.type(registry.contentType);
    return await registry.metrics();
  });
}
