import { type Context, DiagLogLevel, diag, ROOT_CONTEXT, SpanStatusCode, trace } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { ATTR_SERVICE_NAME } from '@opentelemetry/semantic-conventions';
import type { Logger } from './log.ts';
import type { Span, StartSpan, Tracing } from './tracing.ts';

const tracesPath = '/v1/traces';
/** Spans that wait to be sent; more are thrown away: traces are never worth memory without bound. */
const maxQueueSize = 2_048;
const sendEveryMs = 1_000;
/** A collector that takes longer is given up, also at the end of the process. */
const sendWithinMs = 3_000;

/** OpenTelemetry's SDK behind our port. To be imported only where traces are wanted: see `openTracing`. */
export function createOtlpTracing(options: { url: string; service: string; log: Logger }): Tracing {
  const { service, log } = options;
  const url = withPath(options.url);
  const warn = (message: string): void => log.warn({ url, reason: message.slice(0, 500) }, 'traces could not be sent');
  diag.setLogger(
    { error: warn, warn, info: () => {}, debug: () => {}, verbose: () => {} },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ [ATTR_SERVICE_NAME]: service }),
    spanProcessors: [
      new BatchSpanProcessor(new OTLPTraceExporter({ url, timeoutMillis: sendWithinMs }), {
        maxQueueSize,
        scheduledDelayMillis: sendEveryMs,
        exportTimeoutMillis: sendWithinMs,
      }),
    ],
  });
  const tracer = provider.getTracer('spoonbox');
  return {
    isOn: true,
    start({ name, parent, attributes = {}, beganAgoMs = 0 }: StartSpan): Span {
      const startTime = Date.now() - beganAgoMs;
      const span = tracer.startSpan(name, { startTime, attributes }, contextOf(parent));
      const { traceId, spanId, traceFlags } = span.spanContext();
      return {
        traceparent: `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`,
        note: (more) => void span.setAttributes(more),
        end(fault) {
          if (!span.isRecording()) return;
          if (fault !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: fault });
          span.end();
        },
      };
    },
    async close() {
      await provider.shutdown().catch((error: unknown) => log.warn({ error }, 'the last traces could not be sent'));
    },
  };
}

/** W3C Trace Context, level 1; what is no trace context begins a trace of its own. */
const Traceparent = /^[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-([\da-f]{2})$/;

function contextOf(parent: string | null): Context {
  const [, traceId, spanId, flags] = Traceparent.exec(parent ?? '') ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return ROOT_CONTEXT;
  const traceFlags = Number.parseInt(flags, 16);
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags, isRemote: true });
}

/** Collectors are told by their base address, as OTEL_EXPORTER_OTLP_ENDPOINT is, or whole. */
function withPath(url: string): string {
  const base = url.replace(/\/+$/, '');
  return base.endsWith(tracesPath) ? base : base + tracesPath;
}
