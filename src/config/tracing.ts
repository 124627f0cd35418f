import { z } from 'zod';
import { loadVariables } from './environment.ts';
import { count, secret, url } from './values.ts';

const endpoint = url('http:', 'https:').optional();
const protocol = z.enum(['http/protobuf', 'http/json']);
const milliseconds = (fallback: number) => count(fallback, 3_600_000);

/**
 * Of the calls that come without trace context, where no sampler is named. OpenTelemetry's
 * own default is all of them, which would make a payment a quarter dearer for the API.
 */
const DEFAULT_RATIO = 0.1;

// https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ and
// https://opentelemetry.io/docs/specs/otel/protocol/exporter/, of which the exporter reads the rest.
const switches = {
  OTEL_SDK_DISABLED: z.string().default('false'),
  OTEL_TRACES_EXPORTER: z.string().default('otlp'),
  OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: endpoint,
};

const variables = z
  .object({
    ...switches,
    OTEL_TRACES_EXPORTER: z.enum(['otlp']).default('otlp'),
    OTEL_EXPORTER_OTLP_PROTOCOL: protocol.default('http/protobuf'),
    OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: protocol.optional(),
    OTEL_EXPORTER_OTLP_HEADERS: secret.optional(),
    OTEL_EXPORTER_OTLP_TRACES_HEADERS: secret.optional(),
    OTEL_SERVICE_NAME: z.string().optional(),
    OTEL_TRACES_SAMPLER: z
      .enum([
        'always_on',
        'always_off',
        'traceidratio',
        'parentbased_always_on',
        'parentbased_always_off',
        'parentbased_traceidratio',
      ])
      .optional(),
    OTEL_TRACES_SAMPLER_ARG: z.coerce.number().min(0).max(1).optional(),
    OTEL_BSP_SCHEDULE_DELAY: milliseconds(5_000),
    OTEL_BSP_EXPORT_TIMEOUT: milliseconds(30_000),
    OTEL_BSP_MAX_QUEUE_SIZE: count(2_048),
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE: count(512),
  })
  .refine((config) => config.OTEL_BSP_MAX_EXPORT_BATCH_SIZE <= config.OTEL_BSP_MAX_QUEUE_SIZE, {
    path: ['OTEL_BSP_MAX_EXPORT_BATCH_SIZE'],
    error: 'must not be more than OTEL_BSP_MAX_QUEUE_SIZE',
  });

/**
 * How to trace; undefined unless an endpoint is set and nothing switches tracing off.
 * Throws ConfigError that names every bad variable.
 */
export function loadTracing(env: NodeJS.ProcessEnv, defaultName: string) {
  const { OTEL_SDK_DISABLED, OTEL_TRACES_EXPORTER, ...endpoints } = loadVariables(z.object(switches), env);
  const off = OTEL_SDK_DISABLED.toLowerCase() === 'true' || OTEL_TRACES_EXPORTER === 'none';
  const tracesUrl = endpoints.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? below(endpoints.OTEL_EXPORTER_OTLP_ENDPOINT);
  if (off || tracesUrl === undefined) return undefined;
  const config = loadVariables(variables, env);
  return {
    serviceName: config.OTEL_SERVICE_NAME ?? defaultName,
    url: tracesUrl,
    protocol: config.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL ?? config.OTEL_EXPORTER_OTLP_PROTOCOL,
    headers: config.OTEL_EXPORTER_OTLP_TRACES_HEADERS ?? config.OTEL_EXPORTER_OTLP_HEADERS,
    sampler: config.OTEL_TRACES_SAMPLER ?? 'parentbased_traceidratio',
    ratio: config.OTEL_TRACES_SAMPLER_ARG ?? (config.OTEL_TRACES_SAMPLER === undefined ? DEFAULT_RATIO : 1),
    batches: {
      scheduledDelayMillis: config.OTEL_BSP_SCHEDULE_DELAY,
      exportTimeoutMillis: config.OTEL_BSP_EXPORT_TIMEOUT,
      maxQueueSize: config.OTEL_BSP_MAX_QUEUE_SIZE,
      maxExportBatchSize: config.OTEL_BSP_MAX_EXPORT_BATCH_SIZE,
    },
  };
}

/** Where traces go below an endpoint of all signals. */
function below(base: string | undefined): string | undefined {
  return base === undefined ? undefined : `${base.replace(/\/$/, '')}/v1/traces`;
}
