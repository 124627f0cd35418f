import type { Tracer } from '../../app/tracing.ts';

export interface TracingSettings {
  readonly serviceName: string;
  /** Of the collector, with its path. */
  readonly url: string;
  readonly protocol: 'http/protobuf' | 'http/json';
  /** For each request: name=value, comma-separated. */
  readonly headers: string | undefined;
  readonly sampler: SamplerName;
  /** For the samplers that have traceidratio in their name: 0 to 1. */
  readonly ratio: number;
  /** Spans that wait to be sent; those beyond maxQueueSize are dropped. */
  readonly batches: {
    readonly scheduledDelayMillis: number;
    readonly exportTimeoutMillis: number;
    readonly maxQueueSize: number;
    readonly maxExportBatchSize: number;
  };
}

/** https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/, OTEL_TRACES_SAMPLER. */
export type SamplerName =
  | 'always_on'
  | 'always_off'
  | 'traceidratio'
  | 'parentbased_always_on'
  | 'parentbased_always_off'
  | 'parentbased_traceidratio';

export interface Tracing {
  readonly tracer: Tracer;
  /** Sends what has ended, within that time. Never throws: spans that cannot be sent are lost. */
  stop(withinMs: number): Promise<void>;
}

export interface TracingLog {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** Undefined without settings, and then neither SDK nor exporter is loaded. */
export async function startTracing(
  settings: TracingSettings | undefined,
  log: TracingLog,
): Promise<Tracing | undefined> {
  if (settings === undefined) return undefined;
  const { openTelemetry } = await import('./open-telemetry.ts');
  return openTelemetry(settings, log);
}
