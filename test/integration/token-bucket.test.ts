import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { connectRedis, type RedisClient } from '../../src/infra/redis/connection.ts';
import { LocalTokenBuckets, type TokenBucketSettings } from '../../src/infra/redis/local-token-bucket.ts';
import { limiterDecisions, RedisTokenBuckets } from '../../src/infra/redis/token-bucket.ts';
import { cacheFolder } from '../../tools/stack/cache.ts';
import { onFreePorts } from '../../tools/stack/free-port.ts';
import { redisProgram, startRedis } from '../../tools/stack/redis.ts';
import type { Server } from '../../tools/stack/server.ts';
import { decisions, fallbacks } from '../support/limiter.ts';
import { UNREPORTED } from '../support/outage.ts';

let folder: string;
let server: Server;
let redis: RedisClient;
let registry: Registry;
let payer: string;

const log = pino({ level: 'silent' });
const keyOf = (payerAccountId: string) => `payment-ledger:bucket:${payerAccountId}`;

beforeAll(async () => {
  // A server of its own, which is paused and forgets its scripts.
  folder = await mkdtemp(join(tmpdir(), 'payment-ledger-redis-'));
  const program = await redisProgram(cacheFolder(process.env), () => undefined);
  server = await onFreePorts(1, ([port]) => startRedis(folder, port!, program));
  redis = connectRedis({ url: server.address }, log);
  await new Promise((resolve) => redis.once('ready', resolve));
});

beforeEach(() => {
  registry = new Registry();
  payer = `payer-${randomUUID()}`;
});

afterAll(async () => {
  redis?.disconnect();
  await server?.stop();
  await rm(folder, { recursive: true });
});

/** How long Redis answers nothing. */
const PAUSE_MS = 2_000;

/** Long, for tests of other things: on a busy machine Redis may be slower than a payment waits. */
const PATIENT_MS = 30_000;

function buckets(settings: TokenBucketSettings, connection = redis, limitMs?: number): RedisTokenBuckets {
  return new RedisTokenBuckets(connection, settings, limiterDecisions(registry), UNREPORTED, 'payer', limitMs);
}

const patientBuckets = (settings: TokenBucketSettings, connection = redis) => buckets(settings, connection, PATIENT_MS);

/** The time by the server's clock, in microseconds. */
async function serverUs(): Promise<number> {
  const [seconds, microseconds] = await redis.time();
  return Number(seconds) * 1_000_000 + Number(microseconds);
}

/**
 * The clock is the only difference between Redis' buckets and local ones, so the script
 * gets the test's as arguments, and no key goes by Redis' own.
 */
function withTestClock(script: string, argument: number): string {
  return script
    .replace("redis.call('TIME')", `{ ARGV[${argument}], ARGV[${argument + 1}] }`)
    .replace(/^.*'PEXPIRE'.*$/gm, '');
}

/** Times in microseconds, of which most are as the one before. */
function clockOf(steps: number, nowUs: number): number[] {
  let time = nowUs;
  return Array.from({ length: steps }, (_, step) => {
    time += step % 10 < 7 ? 0 : Math.floor(Math.random() * 400_000);
    return time;
  });
}

/** As TIME answers. */
const timeOf = (us: number) => [Math.floor(us / 1_000_000), us % 1_000_000];

describe('in Redis', () => {
  test('a burst of the capacity passes, the next waits for its token, and gets it then', async () => {
    const limiter = patientBuckets({ capacity: 5, refillPerSecond: 1 });
    // Asked for in one turn, so the first alone and the others together.
    const taken = await Promise.all(Array.from({ length: 8 }, () => limiter.take(payer)));
    expect(taken.slice(0, 5)).toEqual([0, 0, 0, 0, 0]);
    const retryAfterMs = taken[7]!;
    expect(retryAfterMs).toBeGreaterThan(0);
    expect(retryAfterMs).toBeLessThanOrEqual(1_000);
    await sleep(retryAfterMs + 5);
    expect(await limiter.take(payer)).toBe(0);
    const { allowed, limited } = await decisions(registry, 'redis');
    expect(allowed + limited).toBe(9);
    expect(await fallbacks(registry)).toBe(0);
  });

  test('all replicas share a bucket', async () => {
    const other = connectRedis({ url: server.address }, log);
    await new Promise((resolve) => other.once('ready', resolve));
    const settings = { capacity: 50, refillPerSecond: 1 };
    const decided = limiterDecisions(new Registry());
    const replicas = [
      patientBuckets(settings),
      new RedisTokenBuckets(other, settings, decided, UNREPORTED, 'payer', PATIENT_MS),
    ];
    const taken = await Promise.all(Array.from({ length: 200 }, (_, index) => replicas[index % 2]!.take(payer)));
    expect(taken.filter((retryAfterMs) => retryAfterMs === 0)).toHaveLength(50);
    other.disconnect();
  });

  test('a bucket has one key, which goes when it is full again; taking from an empty one writes nothing', async () => {
    const limiter = patientBuckets({ capacity: 2, refillPerSecond: 1 });
    await limiter.take(payer);
    await limiter.take(payer);
    const [before, ttlMs] = [await redis.hgetall(keyOf(payer)), await redis.pttl(keyOf(payer))];
    expect(ttlMs).toBeGreaterThan(1_000);
    expect(ttlMs).toBeLessThanOrEqual(2_000);
    expect(await limiter.take(payer)).toBeGreaterThan(0);
    expect(await redis.hgetall(keyOf(payer))).toEqual(before);
    await sleep(ttlMs + 20);
    expect(await redis.exists(keyOf(payer))).toBe(0);
  });

  test('a smaller capacity counts at once, also for a bucket that has more', async () => {
    await patientBuckets({ capacity: 100, refillPerSecond: 1 }).take(payer);
    registry = new Registry();
    const limiter = patientBuckets({ capacity: 2, refillPerSecond: 1 });
    expect(await limiter.take(payer)).toBe(0);
    expect(await limiter.take(payer)).toBe(0);
    expect(await limiter.take(payer)).toBeGreaterThan(0);
  });

  test('after the server clock was set back an empty bucket refills from now on', async () => {
    const limiter = patientBuckets({ capacity: 3, refillPerSecond: 10 });
    const ahead = (await serverUs()) + 3_600 * 1_000_000;
    await redis.hset(keyOf(payer), { tokens: 0, at: ahead });
    expect(await limiter.take(payer)).toBe(100);
    expect(Number(await redis.hget(keyOf(payer), 'at'))).toBeLessThan(ahead - 3_500 * 1_000_000);
    await sleep(110);
    expect(await limiter.take(payer)).toBe(0);
  });

  test('so it does for those who only take several tokens at once', async () => {
    const limiter = patientBuckets({ capacity: 3, refillPerSecond: 20 });
    const ahead = (await serverUs()) + 3_600 * 1_000_000;
    await redis.hset(keyOf(payer), { tokens: 1_000_000, at: ahead });
    expect(await limiter.takeAll(new Map([[payer, 3]]))).toEqual({ accountId: payer, retryAfterMs: 100 });
    expect(await redis.hget(keyOf(payer), 'tokens')).toBe('1000000');
    await sleep(120);
    expect(await limiter.takeAll(new Map([[payer, 3]]))).toBeUndefined();
  });

  test('several tokens of several buckets are taken together or not at all', async () => {
    const limiter = patientBuckets({ capacity: 5, refillPerSecond: 1 });
    const [other, third] = [`payer-${randomUUID()}`, `payer-${randomUUID()}`];
    const tokens = (...counts: number[]) =>
      new Map(
        [payer, other, third].map((account, index) => [account, counts[index] ?? 0] as const).filter(([, n]) => n > 0),
      );
    expect(await limiter.takeAll(tokens(4, 5))).toBeUndefined();
    const before = await Promise.all([payer, other, third].map((account) => redis.hgetall(keyOf(account))));
    const shortage = await limiter.takeAll(tokens(1, 3, 5));
    expect(shortage?.accountId).toBe(other);
    expect(shortage!.retryAfterMs).toBeGreaterThan(1_000);
    expect(shortage!.retryAfterMs).toBeLessThanOrEqual(3_000);
    expect(await Promise.all([payer, other, third].map((account) => redis.hgetall(keyOf(account))))).toEqual(before);
    expect(await limiter.takeAll(tokens(0, 0, 5))).toBeUndefined();
    expect(await limiter.take(third)).toBeGreaterThan(0);
    await sleep(shortage!.retryAfterMs + 5);
    expect(await limiter.takeAll(tokens(1, 3))).toBeUndefined();
    expect(await decisions(registry, 'redis')).toEqual({ allowed: 18, limited: 10 });
    expect(await fallbacks(registry)).toBe(0);
  });

  test('more tokens than a bucket can hold are never granted', async () => {
    const limiter = patientBuckets({ capacity: 5, refillPerSecond: 4 });
    const shortage = await limiter.takeAll(new Map([[payer, 6]]));
    expect(shortage).toEqual({ accountId: payer, retryAfterMs: Number.POSITIVE_INFINITY });
    expect(await limiter.takeAll(new Map([[payer, 5]]))).toBeUndefined();
    expect(await limiter.takeAll(new Map())).toBeUndefined();
  });

  test('tokens that are given back are there again, up to the capacity, and a full bucket has no key', async () => {
    const limiter = patientBuckets({ capacity: 5, refillPerSecond: 1 });
    await limiter.takeAll(new Map([[payer, 5]]));
    await limiter.giveBack(new Map([[payer, 3]]));
    expect(await limiter.takeAll(new Map([[payer, 4]]))).toMatchObject({ accountId: payer });
    expect(await limiter.takeAll(new Map([[payer, 3]]))).toBeUndefined();
    await limiter.giveBack(new Map([[payer, 9]]));
    expect(await redis.exists(keyOf(payer))).toBe(0);
  });

  test('batches at the same time never get more than there is', async () => {
    const other = `payer-${randomUUID()}`;
    const limiter = patientBuckets({ capacity: 50, refillPerSecond: 0.001 });
    const taken = await Promise.all(
      Array.from({ length: 40 }, () =>
        limiter.takeAll(
          new Map([
            [payer, 3],
            [other, 2],
          ]),
        ),
      ),
    );
    expect(taken.filter((shortage) => shortage === undefined)).toHaveLength(16);
    expect(await limiter.take(payer)).toBe(0);
  });

  test('counts exactly as the local bucket does', async () => {
    const file = new URL('../../src/infra/redis/token-bucket.lua', import.meta.url);
    const script = withTestClock(readFileSync(file, 'utf8'), 3);
    for (const settings of [
      { capacity: 3, refillPerSecond: 7 },
      { capacity: 200, refillPerSecond: 100 },
      { capacity: 1_000_000, refillPerSecond: 1 },
    ]) {
      const local = new LocalTokenBuckets(settings);
      const key = keyOf(randomUUID());
      const { capacity, refillPerSecond } = settings;
      const steps = clockOf(1_000, await serverUs()).map((nowUs) => ({
        shared: redis.eval(script, 1, key, capacity, refillPerSecond, ...timeOf(nowUs)),
        own: [local.take(payer, nowUs)],
      }));
      expect(await Promise.all(steps.map(({ shared }) => shared))).toEqual(steps.map(({ own }) => own));
    }
  });

  test('counts several tokens exactly as local buckets do', async () => {
    const file = new URL('../../src/infra/redis/token-buckets-together.lua', import.meta.url);
    const script = withTestClock(readFileSync(file, 'utf8'), 5);
    for (const settings of [
      { capacity: 30, refillPerSecond: 7 },
      { capacity: 200, refillPerSecond: 100 },
      { capacity: 1_000_000, refillPerSecond: 1 },
    ]) {
      const local = new LocalTokenBuckets(settings);
      const payers = [randomUUID(), randomUUID()];
      const { capacity, refillPerSecond } = settings;
      const steps = clockOf(1_000, await serverUs()).map((nowUs) => {
        // Mostly taken, sometimes given back.
        const counts = payers.map(() => Math.ceil((Math.random() * 1.2 - 0.2) * 30));
        const values = [capacity, refillPerSecond, ...counts, ...timeOf(nowUs)];
        return {
          shared: redis.eval(script, 2, ...payers.map(keyOf), ...values),
          own: local.takeTogether(payers, counts, nowUs),
        };
      });
      expect(await Promise.all(steps.map(({ shared }) => shared))).toEqual(steps.map(({ own }) => own));
    }
  });
});

describe('without Redis', () => {
  test('local buckets take over, and Redis is used again once it is back', async () => {
    const limiter = buckets({ capacity: 2, refillPerSecond: 1 });
    await limiter.take(payer);
    const before = { local: await decisions(registry, 'local'), redis: await decisions(registry, 'redis') };
    await redis.call('CLIENT', 'PAUSE', String(PAUSE_MS), 'ALL');
    const pausedAt = performance.now();
    const other = `payer-${randomUUID()}`;
    const taken = [await limiter.take(other), await limiter.take(other), await limiter.take(other)];
    // Not by Redis, which has answered nothing yet.
    expect(performance.now() - pausedAt).toBeLessThan(PAUSE_MS);
    expect(taken).toEqual([0, 0, expect.any(Number)]);
    expect(taken[2]).toBeGreaterThan(0);
    const { allowed, limited } = await decisions(registry, 'local');
    expect([allowed - before.local.allowed, limited - before.local.limited]).toEqual([2, 1]);
    const byRedis = async () => {
      await limiter.take(`payer-${randomUUID()}`);
      return (await decisions(registry, 'redis')).allowed;
    };
    await expect.poll(byRedis).toBeGreaterThan(before.redis.allowed);
  });

  test('batches take from local buckets too, all or nothing', async () => {
    const nowhere = connectRedis({ url: 'redis://127.0.0.1:1' }, log);
    const limiter = buckets({ capacity: 5, refillPerSecond: 1 }, nowhere);
    const other = `payer-${randomUUID()}`;
    expect(await limiter.takeAll(new Map([[payer, 4]]))).toBeUndefined();
    const lacking = new Map([
      [payer, 2],
      [other, 5],
    ]);
    expect(await limiter.takeAll(lacking)).toMatchObject({ accountId: payer });
    expect(await limiter.takeAll(new Map([[other, 5]]))).toBeUndefined();
    expect(await fallbacks(registry)).toBe(4 + 7 + 5);
    nowhere.disconnect();
  });

  test('a server that was never there costs no payment more than a moment', async () => {
    const nowhere = connectRedis({ url: 'redis://127.0.0.1:1' }, log);
    const limiter = buckets({ capacity: 10, refillPerSecond: 1 }, nowhere);
    const taken = await Promise.all(Array.from({ length: 11 }, () => limiter.take(payer)));
    expect(taken.filter((retryAfterMs) => retryAfterMs === 0)).toHaveLength(10);
    expect(await fallbacks(registry)).toBe(11);
    nowhere.disconnect();
  });

  test('scripts that Redis has forgotten are sent again', async () => {
    const limiter = patientBuckets({ capacity: 10, refillPerSecond: 1 });
    expect(await limiter.take(payer)).toBe(0);
    await redis.script('FLUSH');
    expect(await limiter.take(payer)).toBe(0);
    expect(await fallbacks(registry)).toBe(0);
  });
});
