import { NoQuery } from '#shared/api-schemas.ts';
import { createApiMetrics } from '../metrics/api-metrics.ts';
import type { Api } from './api.ts';

const streams = /[?&](watch|follow)=/;
const otherRoute = 'none';

/**
 * Counts all requests. To be added before whatever may refuse one: a hook that throws is the last that a request sees.
 */
export function countRequests({ app, metrics, watches }: Pick<Api, 'app' | 'metrics' | 'watches'>): void {
  const counted = createApiMetrics(metrics.registry, () => watches.count);
  app.addHook('onRequest', async (request, reply) => {
    const { method, url } = request;
    const route = request.routeOptions.url ?? otherRoute;
    reply.raw.once('close', () => {
      counted.answered(method, route, reply.raw.statusCode, streams.test(url) ? null : reply.elapsedTime);
    });
  });
}

/** `GET /metrics` for Prometheus. */
export function addMetricsRoutes({ app, metrics: { registry } }: Pick<Api, 'app' | 'metrics'>): void {
  app.get('/metrics', { config: { role: 'viewer' }, schema: { querystring: NoQuery } }, async (_request, reply) => {
    reply.type(registry.contentType);
    return await registry.metrics();
  });
}
