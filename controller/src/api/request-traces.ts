import type { FastifyRequest } from 'fastify';
import { noTracing, type Span, traceparentOf, type Tracing } from '#shared/tracing.ts';
import type { Api } from './api.ts';

/** Asked all the time, and part of nobody's work. */
const untraced: ReadonlySet<string> = new Set(['/healthz', '/readyz', '/metrics']);

/**
 * A span of each request, part of its caller's trace: to be added before whatever may refuse one. Answers what a route hands on:
 * null where nobody traces.
 */
export function addRequestTraces(app: Api['app'], tracing: Tracing = noTracing): Api['traceOf'] {
  const spans = new WeakMap<FastifyRequest['raw'], Span>();
  if (tracing.isOn) {
    app.addHook('onRequest', async (request, reply) => {
      const route = request.routeOptions.url;
      if (route === undefined || untraced.has(route)) return;
      const { method } = request;
      const attributes = { 'http.request.method': method, 'http.route': route };
      const span = tracing.start({ name: `${method} ${route}`, parent: traceparentOf(request.headers), attributes });
      spans.set(request.raw, span);
      reply.raw.once('close', () => {
        const { statusCode } = reply.raw;
        span.note({ 'http.response.status_code': statusCode });
        span.end(statusCode >= 500 ? String(statusCode) : undefined);
      });
    });
  }
  return (request) => spans.get(request.raw)?.traceparent ?? null;
}
