import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest';
import { expireKeys } from '../../src/app/reconciliation/expire-keys.ts';
import { postgresIdempotencyKeys } from '../../src/infra/postgres/reconciliation/idempotency-keys.ts';
import { connectRedisForJobs } from '../../src/infra/redis/connection.ts';
import { Housekeeping, type HousekeepingSettings } from '../../src/relay/job-runner.ts';
import { createDatabase } from '../support/database.ts';
import { silent } from '../support/relay.ts';

const EVERY_MS = 500;

describe('housekeeping', () => {
  let redis: Redis;
  let workers: Housekeeping[];
  let settings: () => HousekeepingSettings;
  const runs: number[] = [];

  beforeEach(() => {
    // A database of its own, to be flushed.
    const url = new URL(inject('redisUrl'));
    url.pathname = '/7';
    redis = new Redis(url.href);
    runs.length = 0;
    const job = {
      name: 'count',
      everyMs: EVERY_MS,
      run: async () => ({ total: runs.push(Date.now()) }),
    };
    const queue = `housekeeping-${crypto.randomUUID()}`;
    settings = () => ({ redis: connectRedisForJobs({ url: url.href }, silent), queue, rescheduleMs: 200 });
    workers = [1, 2, 3].map(() => new Housekeeping([job], settings(), silent));
  });
  afterEach(async () => {
    await Promise.all(workers.map((worker) => worker.stop()));
    redis.disconnect();
  });

  test('does each job once in its time however many workers are up, and however often they schedule it', async () => {
    for (const worker of workers) worker.start();
    await new Promise((resume) => setTimeout(resume, 10 * EVERY_MS));
    expect(runs.length).toBeGreaterThanOrEqual(7);
    expect(runs.length).toBeLessThanOrEqual(11);
  });

  test('goes on after Redis has lost everything', async () => {
    for (const worker of workers) worker.start();
    await expect.poll(() => runs.length, { timeout: 5_000 }).toBeGreaterThanOrEqual(2);
    await redis.flushdb();
    const before = runs.length;
    await expect.poll(() => runs.length, { timeout: 10_000 }).toBeGreaterThanOrEqual(before + 3);
  });

  test('gives up a job that is being done when it stops', async () => {
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
    const worker = new Housekeeping([endless], { ...own, queue: `${own.queue}-endless` }, silent);
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
