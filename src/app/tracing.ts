/** What traces are told; https://opentelemetry.io/docs/concepts/signals/traces/. */
export interface Tracer {
  /**
   * Begins a span: in the trace of its parent, or in a new one if it has no parent.
   * Undefined if the span is not sampled, and then there is nothing to end.
   */
  start(span: SpanStart): Span | undefined;
}

export interface SpanStart {
  readonly name: string;
  readonly kind: 'SERVER' | 'CLIENT' | 'PRODUCER' | 'INTERNAL';
  /** W3C trace context. */
  readonly parent: string | undefined;
  /** W3C trace context of a span that this one has to do with besides its parent. */
  readonly link?: string | undefined;
  /** Not set is now. */
  readonly startedAt?: Date;
  readonly attributes: SpanAttributes;
}

/** Never amounts, descriptions, accounts or idempotency keys: whoever sees traces need not see payments. */
export type SpanAttributes = Readonly<Record<string, string | number>>;

export interface Span {
  /** W3C trace context, for what the span causes. */
  readonly traceparent: string;
  end(outcome?: SpanOutcome): void;
}

export interface SpanOutcome {
  readonly failed?: boolean;
  /** Those that were not known at the start. */
  readonly attributes?: SpanAttributes;
  /** Not set is now. */
  readonly at?: Date;
}

/** Whether whoever began the trace has it recorded: the last bit of W3C trace context. */
export function isSampled(traceparent: string | undefined): traceparent is string {
  return traceparent !== undefined && (Number.parseInt(traceparent.slice(-1), 16) & 1) === 1;
}

/** An error in a span: its class, as its message may tell of payments. */
export function failedWith(error: unknown): SpanOutcome {
  return { failed: true, attributes: { 'error.type': error instanceof Error ? error.name : typeof error } };
}
