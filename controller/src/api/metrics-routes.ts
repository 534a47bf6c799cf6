import { NoQuery } from '#shared/api-schemas.ts';
import { createApiMetrics } from '../metrics/api-metrics.ts';
import type { Api } from './api.ts';

const streams = /[?&](watch|follow)=/;
const otherRoute = 'none';

/** `GET /metrics` for Prometheus, and the count of all requests. To be added before the routes. */
export function addMetricsRoutes({ app, metrics, watches }: Pick<Api, 'app' | 'metrics' | 'watches'>): void {
  const { registry } = metrics;
  const counted = createApiMetrics(registry, () => watches.count);

  app.addHook('onRequest', async (request, reply) => {
    const { method, url } = request;
    const route = request.routeOptions.url ?? otherRoute;
    reply.raw.once('close', () => {
      counted.answered(method, route, reply.raw.statusCode, streams.test(url) ? null : reply.elapsedTime);
    });
  });

  app.get('/metrics', { schema: { querystring: NoQuery } }, async (_request, reply) => {
    reply.type(registry.contentType);
    return await registry.metrics();
  });
}
