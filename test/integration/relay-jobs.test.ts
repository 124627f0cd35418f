import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { expireKeys } from '../../src/app/reconciliation/expire-keys.ts';
import { postgresIdempotencyKeys } from '../../src/infra/postgres/reconciliation/idempotency-keys.ts';
import { connectRedisForJobs } from '../../src/infra/redis/connection.ts';
import { JobRunner, type JobRunnerSettings } from '../../src/relay/job-runner.ts';
import { jobMetrics } from '../../src/relay/metrics.ts';
import { cacheFolder } from '../../tools/stack/cache.ts';
import { freePorts } from '../../tools/stack/free-port.ts';
import { redisProgram, startRedis } from '../../tools/stack/redis.ts';
import { createDatabase } from '../support/database.ts';
import { ownRedisUrl } from '../support/own-redis.ts';
import { silent } from '../support/relay.ts';

const EVERY_MS = 500;

async function shown(registry: Registry, name: string, job: string): Promise<number | undefined> {
  const metric = await registry.getSingleMetric(`payment_ledger_relay_job_${name}`)!.get();
  return metric.values.find(({ labels }) => labels['job_name'] === job)?.value;
}

describe('jobs', () => {
  let redis: Redis;
  let workers: JobRunner[];
  let registries: Registry[];
  let settings: () => JobRunnerSettings;
  const runs: number[] = [];

  beforeEach(() => {
    const url = ownRedisUrl();
    redis = new Redis(url);
    runs.length = 0;
    const job = {
      name: 'count',
      everyMs: EVERY_MS,
      run: async () => ({ total: runs.push(Date.now()) }),
    };
    const queue = `housekeeping-${crypto.randomUUID()}`;
    settings = () => ({ redis: connectRedisForJobs({ url }, silent), queue, rescheduleMs: 200 });
    registries = [1, 2, 3].map(() => new Registry());
    workers = registries.map((registry) => new JobRunner([job], settings(), jobMetrics(registry), silent));
  });
  afterEach(async () => {
    await Promise.all(workers.map((worker) => worker.stop()));
    redis.disconnect();
  });

  test('are done once in their time however many workers are up, and however often they schedule them', async () => {
    const startedAt = Date.now();
    for (const worker of workers) worker.start();
    await expect.poll(() => runs.length).toBeGreaterThanOrEqual(8);
    // Three workers that each did it would do it three times as often.
    expect(runs.length).toBeLessThanOrEqual((Date.now() - startedAt) / EVERY_MS + 2);
  });

  test('go on after Redis has lost everything', async () => {
    for (const worker of workers) worker.start();
    await expect.poll(() => runs.length).toBeGreaterThanOrEqual(2);
    await redis.flushdb();
    const before = runs.length;
    await expect.poll(() => runs.length).toBeGreaterThanOrEqual(before + 3);
  });

  test('are shown by every worker, whichever has done them', async () => {
    for (const worker of workers) worker.start();
    await expect.poll(() => runs.length).toBeGreaterThanOrEqual(3);
    const lastSuccesses = () =>
      Promise.all(registries.map((registry) => shown(registry, 'last_success_timestamp_seconds', 'count')));
    const expected = runs.at(-1)! / 1_000;
    await expect.poll(async () => (await lastSuccesses()).filter((seconds) => seconds! >= expected)).toHaveLength(3);
  });

  test('that fail are counted, and are overdue in the end', async () => {
    const registry = new Registry();
    const failing = { name: 'failing', everyMs: EVERY_MS, run: () => Promise.reject(new Error('no')) };
    const own = settings();
    const metrics = jobMetrics(registry);
    const worker = new JobRunner([failing], { ...own, queue: `${own.queue}-failing` }, metrics, silent);
    expect(await shown(registry, 'failures_total', 'failing')).toBe(0);
    worker.start();
    await expect.poll(() => shown(registry, 'overdue', 'failing')).toBe(1);
    expect(await shown(registry, 'failures_total', 'failing')).toBeGreaterThan(0);
    expect(await shown(registry, 'last_success_timestamp_seconds', 'failing')).toBeUndefined();
    await worker.stop();
  });

  test('that cannot run without Redis warn once, show in the metrics, and run again with it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'payment-ledger-redis-'));
    const [port] = (await freePorts(1)) as [number];
    const server = await startRedis(folder, port, await redisProgram(cacheFolder(process.env), () => undefined));
    const warnings: string[] = [];
    const log = { ...silent, warn: (_: object, message: string) => void warnings.push(message) };
    const own = { ...settings(), redis: connectRedisForJobs({ url: server.address }, silent) };
    const registry = new Registry();
    const job = { name: 'count', everyMs: EVERY_MS, run: async () => ({}) };
    const worker = new JobRunner([job], own, jobMetrics(registry), log);
    const overdue = () => shown(registry, 'overdue', 'count');
    try {
      worker.start();
      await expect.poll(() => shown(registry, 'last_success_timestamp_seconds', 'count')).toBeGreaterThan(0);
      await server.kill();
      await expect.poll(overdue).toBe(1);
      await sleep(6 * EVERY_MS);
      expect(warnings.filter((message) => message.includes('overdue'))).toHaveLength(1);
      await server.start();
      await expect.poll(overdue).toBe(0);
    } finally {
      await worker.stop();
      await server.stop();
      await rm(folder, { recursive: true });
    }
  });

  test('are given up when their worker stops', async () => {
    const begun = Promise.withResolvers<AbortSignal>();
    const endless = {
      name: 'endless',
      everyMs: EVERY_MS,
      run: (signal: AbortSignal) => {
        begun.resolve(signal);
        return new Promise<object>(() => undefined);
      },
    };
    const own = settings();
    const worker = new JobRunner(
      [endless],
      { ...own, queue: `${own.queue}-endless` },
      jobMetrics(new Registry()),
      silent,
    );
    worker.start();
    const signal = await begun.promise;
    await worker.stop();
    expect(signal.aborted).toBe(true);
  });
});

describe('expiring idempotency keys', () => {
  test('forgets those past the retention and no others', async () => {
    const database = await createDatabase();
    await database.query(
      `insert into idempotency_keys (caller, key, payment_id, created_at)
       select '', 'key-' || n, gen_random_uuid(), now() - n * interval '1 hour' from generate_series(1, 12000) as n`,
    );
    const expired = await expireKeys(postgresIdempotencyKeys(database.application), 10);
    expect(expired).toBe(12_000 - 239);
    const left = await database.query<{ n: number }>('select count(*)::int as n from idempotency_keys');
    expect(left).toEqual([{ n: 239 }]);
    await database.close();
  });

  test('goes by the index to those pages that may have old keys', async () => {
    const database = await createDatabase();
    await database.query(
      `insert into idempotency_keys (caller, key, payment_id, created_at)
       select '', 'key-' || n, gen_random_uuid(), now() from generate_series(1, 100000) as n`,
    );
    await database.query('vacuum analyze idempotency_keys');
    const read = async () => {
      await database.query('select pg_stat_force_next_flush()');
      const [table] = await database.query<{ seq_scan: bigint }>(
        "select seq_scan from pg_stat_user_tables where relname = 'idempotency_keys'",
      );
      return table!.seq_scan;
    };
    const before = await read();
    expect(await expireKeys(postgresIdempotencyKeys(database.application), 10)).toBe(0);
    await new Promise((resume) => setTimeout(resume, 1_500));
    expect(await read()).toBe(before);
    await database.close();
  });
});
