import { Registry } from 'prom-client';
import { beforeEach, describe, expect, test } from 'vitest';
import { JobWatch } from '../../../src/relay/job-watch.ts';
import { jobMetrics } from '../../../src/relay/metrics.ts';
import { silent } from '../../support/relay.ts';

const MINUTE_MS = 60_000;
const STARTED_MS = 1_800_000_000_000;

describe('a job', () => {
  let lines: { level: string; fields: object; message: string }[];
  let registry: Registry;
  let watch: JobWatch;

  beforeEach(() => {
    lines = [];
    registry = new Registry();
    const line = (level: string) => (fields: object, message: string) => void lines.push({ level, fields, message });
    const log = { ...silent, warn: line('warn'), info: line('info') };
    watch = new JobWatch([{ name: 'count', everyMs: MINUTE_MS }], jobMetrics(registry), log, STARTED_MS);
  });

  const shown = async (name: string) => {
    const metric = await registry.getSingleMetric(`payment_ledger_relay_job_${name}`)!.get();
    return metric.values.map(({ labels, value }) => [labels['job_name'], value]);
  };

  test('is overdue after three intervals without success: one warning, however long it lasts', async () => {
    watch.check(STARTED_MS + 3 * MINUTE_MS);
    expect(lines).toEqual([]);
    expect(await shown('overdue')).toEqual([['count', 0]]);
    for (let minute = 4; minute < 10; minute += 1) watch.check(STARTED_MS + minute * MINUTE_MS);
    expect(lines).toMatchObject([{ level: 'warn', fields: { job: 'count', lastSuccess: undefined } }]);
    expect(await shown('overdue')).toEqual([['count', 1]]);

    watch.succeeded('count', STARTED_MS + 10 * MINUTE_MS, STARTED_MS + 10 * MINUTE_MS);
    watch.check(STARTED_MS + 10 * MINUTE_MS);
    expect(lines).toMatchObject([
      { level: 'warn' },
      { level: 'info', message: 'a job that was overdue is done again' },
    ]);
    expect(await shown('overdue')).toEqual([['count', 0]]);

    watch.check(STARTED_MS + 14 * MINUTE_MS);
    expect(lines.at(-1)).toMatchObject({ level: 'warn' });
  });

  test('is not overdue for what happened before the worker was started', () => {
    watch.succeeded('count', STARTED_MS - 60 * MINUTE_MS, STARTED_MS);
    watch.check(STARTED_MS + 2 * MINUTE_MS);
    expect(lines).toEqual([]);
  });

  test('shows its latest success, and none before the first or by a clock that runs ahead', async () => {
    expect(await shown('last_success_timestamp_seconds')).toEqual([]);
    watch.succeeded('count', STARTED_MS + 2_000, STARTED_MS + 3_000);
    watch.succeeded('count', STARTED_MS + 1_000, STARTED_MS + 3_000);
    watch.succeeded('count', STARTED_MS + 60 * MINUTE_MS, STARTED_MS + 3_000);
    watch.succeeded('of another version', STARTED_MS, STARTED_MS);
    expect(await shown('last_success_timestamp_seconds')).toEqual([['count', STARTED_MS / 1_000 + 2]]);
  });
});
