import type { KafkaMessage } from 'kafkajs';

interface Received {
  readonly topic: string;
  readonly partition: number;
  readonly message: KafkaMessage;
}

interface Tracing {
  /** Runs work in a span of the trace that the message's traceparent names. */
  traced(received: Received, work: () => Promise<void>): Promise<void>;
  /** Sends the last spans. */
  stop(): Promise<void>;
}

/** Traces, if OTEL_EXPORTER_OTLP_ENDPOINT says where to; otherwise its SDK is not even loaded. */
export async function startTracing(group: string): Promise<Tracing | undefined> {
  const { OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SDK_DISABLED, OTEL_SERVICE_NAME = group } = process.env;
  if (!OTEL_EXPORTER_OTLP_ENDPOINT || OTEL_SDK_DISABLED === 'true') return undefined;

  const { defaultTextMapGetter, ROOT_CONTEXT, SpanKind, SpanStatusCode } = await import('@opentelemetry/api');
  const { W3CTraceContextPropagator } = await import('@opentelemetry/core');
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http');
  const { resourceFromAttributes } = await import('@opentelemetry/resources');
  const { BatchSpanProcessor, TracerProvider } = await import('@opentelemetry/sdk-trace');

  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': OTEL_SERVICE_NAME }),
    spanProcessors: [new BatchSpanProcessor({ exporter: new OTLPTraceExporter(), scheduledDelayMillis: 1_000 })],
  });
  const tracer = provider.getTracer('account-views');
  const propagator = new W3CTraceContextPropagator();

  return {
    async traced({ topic, partition, message }, work) {
      const traceparent = message.headers?.['traceparent'];
      const carrier = traceparent === undefined ? {} : { traceparent: String(traceparent) };
      const attributes = {
        'messaging.system': 'kafka',
        'messaging.operation.name': 'process',
        'messaging.operation.type': 'process',
        'messaging.destination.name': topic,
        'messaging.destination.partition.id': String(partition),
        'messaging.consumer.group.name': group,
        'messaging.kafka.offset': message.offset,
        'messaging.message.id': String(message.headers?.['ce_id']),
      };
      const parent = propagator.extract(ROOT_CONTEXT, carrier, defaultTextMapGetter);
      const span = tracer.startSpan(`process ${topic}`, { kind: SpanKind.CONSUMER, attributes }, parent);
      try {
        await work();
      } catch (error) {
        span.setStatus({ code: SpanStatusCode.ERROR });
        throw error;
      } finally {
        span.end();
      }
    },
    stop: () => provider.shutdown(),
  };
}
