import { expect, test } from 'vitest';
import { loadTracing } from '../../../src/config/tracing.ts';
import { startTracing } from '../../../src/infra/tracing/start-tracing.ts';
import { traceparent } from '../../support/recording-tracer.ts';

const log = { debug: () => undefined, info: () => undefined, warn: () => undefined };

/** Of a hundred spans each: those that begin a trace, those whose caller's trace is recorded, and those whose is not. */
async function samplesOf(OTEL_TRACES_SAMPLER: string, OTEL_TRACES_SAMPLER_ARG: string): Promise<number[]> {
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1', OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG };
  const { tracer, stop } = (await startTracing(loadTracing(env, 'test'), log))!;
  const samples = [undefined, traceparent(1), traceparent(1, '00')].map((parent) => {
    const started = Array.from({ length: 100 }, () =>
      tracer.start({ name: 'span', kind: 'INTERNAL', parent, attributes: {} }),
    );
    return started.filter((span) => span !== undefined).length;
  });
  await stop(0);
  return samples;
}

test.each([
  ['always_on', '', [100, 100, 100]],
  ['always_off', '', [0, 0, 0]],
  ['parentbased_always_on', '', [100, 100, 0]],
  ['parentbased_always_off', '', [0, 100, 0]],
  ['parentbased_traceidratio', '0', [0, 100, 0]],
  ['parentbased_traceidratio', '1', [100, 100, 0]],
  ['traceidratio', '0', [0, 0, 0]],
  ['traceidratio', '1', [100, 100, 100]],
])('%s %s', async (sampler, ratio, expected) => {
  expect(await samplesOf(sampler, ratio)).toEqual(expected);
});

test.each(['parentbased_traceidratio', 'traceidratio'])(
  '%s takes about its share of the new traces',
  async (sampler) => {
    const [roots] = await samplesOf(sampler, '0.5');
    // Beyond it once in some ten million runs.
    expect(roots).toBeGreaterThan(23);
    expect(roots).toBeLessThan(77);
  },
);
