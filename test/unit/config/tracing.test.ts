import { describe, expect, test } from 'vitest';
import { loadTracing } from '../../../src/config/tracing.ts';

const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' };

describe('tracing settings', () => {
  test.each([
    ['nothing is set', {}],
    ['the endpoint is empty', { OTEL_EXPORTER_OTLP_ENDPOINT: '' }],
    ['the SDK is disabled', { ...ENDPOINT, OTEL_SDK_DISABLED: 'True' }],
    ['there is no exporter', { ...ENDPOINT, OTEL_TRACES_EXPORTER: 'none' }],
    ['it is off, however wrong the rest is', { ...ENDPOINT, OTEL_SDK_DISABLED: 'true', OTEL_TRACES_SAMPLER: 'x' }],
  ])('off if %s', (_, env) => {
    expect(loadTracing(env, 'name')).toBeUndefined();
  });

  test('the defaults are those of OpenTelemetry, but for the sampler', () => {
    expect(loadTracing(ENDPOINT, 'name')).toEqual({
      serviceName: 'name',
      url: 'http://127.0.0.1:1/v1/traces',
      protocol: 'http/protobuf',
      headers: undefined,
      sampler: 'parentbased_traceidratio',
      ratio: 0.1,
      batches: {
        scheduledDelayMillis: 5_000,
        exportTimeoutMillis: 30_000,
        maxQueueSize: 2_048,
        maxExportBatchSize: 512,
      },
    });
  });

  test.each([
    [{ OTEL_TRACES_SAMPLER: 'traceidratio' }, 'traceidratio', 1],
    [{ OTEL_TRACES_SAMPLER: 'parentbased_traceidratio' }, 'parentbased_traceidratio', 1],
    [{ OTEL_TRACES_SAMPLER_ARG: '0.5' }, 'parentbased_traceidratio', 0.5],
  ])('%o: sampler %s, ratio %d', (env, sampler, ratio) => {
    expect(loadTracing({ ...ENDPOINT, ...env }, 'name')).toMatchObject({ sampler, ratio });
  });

  test('what is set for traces alone wins', () => {
    const env = {
      ...ENDPOINT,
      OTEL_EXPORTER_OTLP_HEADERS: 'authorization=one',
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://collector/traces',
      OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/json',
      OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'authorization=two',
      OTEL_SERVICE_NAME: 'ledger',
    };
    expect(loadTracing(env, 'name')).toMatchObject({
      serviceName: 'ledger',
      url: 'https://collector/traces',
      protocol: 'http/json',
      headers: 'authorization=two',
    });
  });

  test.each([
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'localhost:4318'],
    ['OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc'],
    ['OTEL_TRACES_EXPORTER', 'zipkin'],
    ['OTEL_TRACES_SAMPLER', 'jaeger_remote'],
    ['OTEL_TRACES_SAMPLER_ARG', '2'],
    ['OTEL_BSP_MAX_QUEUE_SIZE', '0'],
    ['OTEL_BSP_MAX_EXPORT_BATCH_SIZE', '4096'],
  ])('%s=%s is named', (name, value) => {
    expect(() => loadTracing({ ...ENDPOINT, [name]: value }, 'name')).toThrow(`  ${name}: `);
  });
});
