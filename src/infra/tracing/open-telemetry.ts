import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Context,
  DiagLogLevel,
  diag,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';
import { parseKeyPairsIntoRecord, parseTraceParent } from '@opentelemetry/core';
import {
  detectResources,
  envDetector,
  resourceFromAttributes,
  serviceInstanceIdDetector,
} from '@opentelemetry/resources';
import {
  AlwaysOnSampler,
  BatchSpanProcessor,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { isSampled, type SpanStart, type Span as TracedSpan } from '../../app/tracing.ts';
import { ReportingExporter } from './reporting-exporter.ts';
import type { Tracing, TracingLog, TracingSettings } from './start-tracing.ts';

/** A collector that answers takes the last spans in less; one that does not must not keep the process. */
const FLUSH_MS = 2_000;

/**
 * Spans by way of OpenTelemetry's SDK, sent in batches beside the work. The exporter reads
 * what else OTEL_EXPORTER_OTLP_* say itself. Nothing is patched and nothing is
 * registered globally but what the SDK reports of itself.
 */
export async function openTelemetry(settings: TracingSettings, log: TracingLog): Promise<Tracing> {
  reportTo(log);
  const resource = resourceFromAttributes({ 'service.name': settings.serviceName });
  const provider = new TracerProvider({
    sampler: settings.sampler === 'traceidratio' ? new TraceIdRatioBasedSampler(settings.ratio) : new AlwaysOnSampler(),
    resource: resource.merge(detectResources({ detectors: [serviceInstanceIdDetector, envDetector] })),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: new ReportingExporter(await createExporter(settings), log),
        ...settings.batches,
      }),
    ],
  });
  const samples = decider(settings);
  const tracer = provider.getTracer('payment-ledger');
  return {
    tracer: {
      start({ name, kind, parent, link, startedAt, attributes }) {
        if (!samples(parent)) return undefined;
        const span = tracer.startSpan(
          name,
          { kind: SpanKind[kind], attributes, links: linksTo(link), ...(startedAt && { startTime: startedAt }) },
          contextOf(parent),
        );
        return span.isRecording() ? recorded(span) : undefined;
      },
    },
    async stop(withinMs) {
      const sent = provider.shutdown().then(
        () => true,
        () => false,
      );
      const late = sleep(Math.min(withinMs, FLUSH_MS), false);
      if (!(await Promise.race([sent, late]))) log.warn({}, 'the last spans did not reach the trace collector');
    },
  };
}

/**
 * Decides before the SDK is asked, which makes ids and a context for each span that it then
 * leaves out. Chance is as good as a trace id, which is made by chance; only traceidratio,
 * by which services decide alike without telling each other, goes by the id, in the SDK.
 */
function decider({ sampler, ratio }: TracingSettings): (parent: string | undefined) => boolean {
  const byCaller = (share: number) => (parent: string | undefined) =>
    parent === undefined ? Math.random() < share : isSampled(parent);
  switch (sampler) {
    case 'always_on':
    case 'traceidratio':
      return () => true;
    case 'always_off':
      return () => false;
    case 'parentbased_always_on':
      return byCaller(1);
    case 'parentbased_always_off':
      return byCaller(0);
    case 'parentbased_traceidratio':
      return byCaller(ratio);
  }
}

async function createExporter({ url, protocol, headers }: TracingSettings) {
  const { OTLPTraceExporter } =
    protocol === 'http/json'
      ? await import('@opentelemetry/exporter-trace-otlp-http')
      : await import('@opentelemetry/exporter-trace-otlp-proto');
  return new OTLPTraceExporter({ url, headers: parseKeyPairsIntoRecord(headers) });
}

function contextOf(traceparent: string | undefined): Context {
  const spanContext = traceparent === undefined ? null : parseTraceParent(traceparent);
  return spanContext === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, { ...spanContext, isRemote: true });
}

function linksTo(traceparent: SpanStart['link']) {
  const context = traceparent === undefined ? null : parseTraceParent(traceparent);
  return context === null ? [] : [{ context }];
}

function recorded(span: Span): TracedSpan {
  const { traceId, spanId } = span.spanContext();
  return {
    traceparent: `00-${traceId}-${spanId}-01`,
    end({ failed = false, attributes = {}, at } = {}) {
      span.setAttributes(attributes);
      if (failed) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end(at);
    },
  };
}

/**
 * What the SDK says of itself. Its errors are failed exports, which ReportingExporter tells
 * of; each of its warnings, such as of spans that were dropped, is logged once.
 */
function reportTo(log: TracingLog): void {
  const warned = new Set<string>();
  const quietly = (message: string) => log.debug({}, message);
  diag.setLogger(
    {
      error: quietly,
      warn(...words) {
        const message = words.filter((word) => typeof word === 'string').join(': ');
        const kind = message.replace(/\d+/g, 'N');
        if (warned.has(kind)) return quietly(message);
        warned.add(kind);
        log.warn({}, `OpenTelemetry: ${message}`);
      },
      info: quietly,
      debug: quietly,
      verbose: quietly,
    },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
}
