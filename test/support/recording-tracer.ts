import type { SpanOutcome, SpanStart, Tracer } from '../../src/app/tracing.ts';

export interface RecordedSpan extends SpanStart {
  readonly traceparent: string;
  /** Undefined until it has ended. */
  outcome?: SpanOutcome | undefined;
}

export interface RecordingTracer extends Tracer {
  /** In the order in which they were started. */
  readonly spans: readonly RecordedSpan[];
}

/** Records spans in the trace of their parents, all of them. */
export function recordingTracer(): RecordingTracer {
  const spans: RecordedSpan[] = [];
  return {
    spans,
    start(start) {
      const traceId = start.parent?.split('-')[1] ?? '1'.repeat(32);
      const spanId = String(spans.length + 1).padStart(16, '0');
      const span: RecordedSpan = { ...start, traceparent: `00-${traceId}-${spanId}-01` };
      spans.push(span);
      return {
        traceparent: span.traceparent,
        end(outcome = {}) {
          span.outcome = outcome;
        },
      };
    },
  };
}

/** W3C trace context; traces of different numbers differ. */
export function traceparent(number: number, flags = '01'): string {
  return `00-${String(number).padStart(32, '0')}-00000000000000aa-${flags}`;
}
