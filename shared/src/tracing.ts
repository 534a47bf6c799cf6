import type { Logger } from './log.ts';

export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

/** A piece of work in a trace. */
export interface Span {
  /** W3C trace context, to be handed on; null = nobody traces */
  readonly traceparent: string | null;
  note(attributes: SpanAttributes): void;
  /** Ends it; `fault` says that it failed, and how. What comes after the first end has no effect. */
  end(fault?: string): void;
}

export interface StartSpan {
  readonly name: string;
  /** `traceparent` of what it is a part of; null, or none that can be read: it begins a trace of its own */
  readonly parent: string | null;
  readonly attributes?: SpanAttributes;
  /** it is told of only now, so long after it began */
  readonly beganAgoMs?: number;
}

/** Where spans go. No tracer is global: whoever traces is handed one. */
export interface Tracing {
  readonly isOn: boolean;
  start(span: StartSpan): Span;
  /** Sends what is left; never rejects. */
  close(): Promise<void>;
}

export const noSpan: Span = { traceparent: null, note: () => {}, end: () => {} };
export const noTracing: Tracing = { isOn: false, start: () => noSpan, close: async () => {} };

/** Traces go to this OTLP/HTTP collector; null = nowhere, and then nothing of OpenTelemetry's SDK is even loaded. */
export async function openTracing(options: { url: string | null; service: string; log: Logger }): Promise<Tracing> {
  const { url, service, log } = options;
  if (url === null) return noTracing;
  const { createOtlpTracing } = await import('./otlp-tracing.ts');
  return createOtlpTracing({ url, service, log });
}

/** The `traceparent` header of a request, if it has one. */
export function traceparentOf(headers: Readonly<Record<string, string | string[] | undefined>>): string | null {
  const { traceparent } = headers;
  return typeof traceparent === 'string' ? traceparent : null;
}
