import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { connectRedis, type RedisClient } from '../../src/infra/redis/connection.ts';
import { LocalTokenBuckets, type TokenBucketSettings } from '../../src/infra/redis/local-token-bucket.ts';
import { limiterDecisions, RedisTokenBuckets } from '../../src/infra/redis/token-bucket.ts';
import { decisions, fallbacks } from '../support/limiter.ts';
import { UNREPORTED } from '../support/outage.ts';
import { ownRedisUrl } from '../support/own-redis.ts';

let redis: RedisClient;
let registry: Registry;
let payer: string;

const log = pino({ level: 'silent' });
const keyOf = (payerAccountId: string) => `payment-ledger:bucket:${payerAccountId}`;

beforeAll(async () => {
  redis = connectRedis({ url: ownRedisUrl() }, log);
  await new Promise((resolve) => redis.once('ready', resolve));
});

beforeEach(() => {
  registry = new Registry();
  payer = `payer-${randomUUID()}`;
});

afterAll(() => redis.disconnect());

function buckets(settings: TokenBucketSettings, connection = redis): RedisTokenBuckets {
  return new RedisTokenBuckets(connection, settings, limiterDecisions(registry), UNREPORTED);
}

/** The time by the server's clock, in microseconds. */
async function serverUs(): Promise<number> {
  const [seconds, microseconds] = await redis.time();
  return Number(seconds) * 1_000_000 + Number(microseconds);
}

describe('in Redis', () => {
  test('a burst of the capacity passes, the next waits for its token, and gets it then', async () => {
    const limiter = buckets({ capacity: 5, refillPerSecond: 4 });
    const taken = await Promise.all(Array.from({ length: 6 }, () => limiter.take(payer)));
    expect(taken.slice(0, 5)).toEqual([0, 0, 0, 0, 0]);
    const retryAfterMs = taken[5]!;
    expect(retryAfterMs).toBeGreaterThan(200);
    expect(retryAfterMs).toBeLessThanOrEqual(250);
    await sleep(retryAfterMs + 5);
    expect(await limiter.take(payer)).toBe(0);
    expect(await limiter.take(payer)).toBeGreaterThan(0);
    expect(await decisions(registry, 'redis')).toEqual({ allowed: 6, limited: 2 });
    expect(await fallbacks(registry)).toBe(0);
  });

  test('all replicas share a bucket', async () => {
    const other = connectRedis({ url: ownRedisUrl() }, log);
    await new Promise((resolve) => other.once('ready', resolve));
    const replicas = [
      buckets({ capacity: 50, refillPerSecond: 1 }),
      new RedisTokenBuckets(other, { capacity: 50, refillPerSecond: 1 }, limiterDecisions(new Registry()), UNREPORTED),
    ];
    const taken = await Promise.all(Array.from({ length: 200 }, (_, index) => replicas[index % 2]!.take(payer)));
    expect(taken.filter((retryAfterMs) => retryAfterMs === 0)).toHaveLength(50);
    other.disconnect();
  });

  test('a bucket has one key, which goes when it is full again; taking from an empty one writes nothing', async () => {
    const limiter = buckets({ capacity: 2, refillPerSecond: 5 });
    await limiter.take(payer);
    await limiter.take(payer);
    const [before, ttlMs] = [await redis.hgetall(keyOf(payer)), await redis.pttl(keyOf(payer))];
    expect(ttlMs).toBeGreaterThan(300);
    expect(ttlMs).toBeLessThanOrEqual(400);
    expect(await limiter.take(payer)).toBeGreaterThan(0);
    expect(await redis.hgetall(keyOf(payer))).toEqual(before);
    await sleep(ttlMs + 20);
    expect(await redis.exists(keyOf(payer))).toBe(0);
  });

  test('a smaller capacity counts at once, also for a bucket that has more', async () => {
    await buckets({ capacity: 100, refillPerSecond: 1 }).take(payer);
    registry = new Registry();
    const limiter = buckets({ capacity: 2, refillPerSecond: 1 });
    expect(await limiter.take(payer)).toBe(0);
    expect(await limiter.take(payer)).toBe(0);
    expect(await limiter.take(payer)).toBeGreaterThan(900);
  });

  test('after the server clock was set back an empty bucket refills from now on', async () => {
    const limiter = buckets({ capacity: 3, refillPerSecond: 10 });
    const ahead = (await serverUs()) + 3_600 * 1_000_000;
    await redis.hset(keyOf(payer), { tokens: 0, at: ahead });
    expect(await limiter.take(payer)).toBe(100);
    expect(Number(await redis.hget(keyOf(payer), 'at'))).toBeLessThan(ahead - 3_500 * 1_000_000);
    await sleep(110);
    expect(await limiter.take(payer)).toBe(0);
  });

  test('so it does for those who only take several tokens at once', async () => {
    const limiter = buckets({ capacity: 3, refillPerSecond: 20 });
    const ahead = (await serverUs()) + 3_600 * 1_000_000;
    await redis.hset(keyOf(payer), { tokens: 1_000_000, at: ahead });
    expect(await limiter.takeAll(new Map([[payer, 3]]))).toEqual({ accountId: payer, retryAfterMs: 100 });
    expect(await redis.hget(keyOf(payer), 'tokens')).toBe('1000000');
    await sleep(120);
    expect(await limiter.takeAll(new Map([[payer, 3]]))).toBeUndefined();
  });

  test('several tokens of several buckets are taken together or not at all', async () => {
    const limiter = buckets({ capacity: 5, refillPerSecond: 4 });
    const [other, third] = [`payer-${randomUUID()}`, `payer-${randomUUID()}`];
    const tokens = (...counts: number[]) =>
      new Map(
        [payer, other, third].map((account, index) => [account, counts[index] ?? 0] as const).filter(([, n]) => n > 0),
      );
    expect(await limiter.takeAll(tokens(4, 5))).toBeUndefined();
    const before = await Promise.all([payer, other, third].map((account) => redis.hgetall(keyOf(account))));
    const shortage = await limiter.takeAll(tokens(1, 3, 5));
    expect(shortage?.accountId).toBe(other);
    expect(shortage!.retryAfterMs).toBeGreaterThan(500);
    expect(shortage!.retryAfterMs).toBeLessThanOrEqual(750);
    expect(await Promise.all([payer, other, third].map((account) => redis.hgetall(keyOf(account))))).toEqual(before);
    expect(await limiter.takeAll(tokens(0, 0, 5))).toBeUndefined();
    expect(await limiter.take(third)).toBeGreaterThan(0);
    await sleep(shortage!.retryAfterMs + 5);
    expect(await limiter.takeAll(tokens(1, 3))).toBeUndefined();
    expect(await decisions(registry, 'redis')).toEqual({ allowed: 18, limited: 10 });
    expect(await fallbacks(registry)).toBe(0);
  });

  test('more tokens than a bucket can hold are never granted', async () => {
    const limiter = buckets({ capacity: 5, refillPerSecond: 4 });
    const shortage = await limiter.takeAll(new Map([[payer, 6]]));
    expect(shortage).toEqual({ accountId: payer, retryAfterMs: Number.POSITIVE_INFINITY });
    expect(await limiter.takeAll(new Map([[payer, 5]]))).toBeUndefined();
    expect(await limiter.takeAll(new Map())).toBeUndefined();
  });

  test('tokens that are given back are there again, up to the capacity, and a full bucket has no key', async () => {
    const limiter = buckets({ capacity: 5, refillPerSecond: 1 });
    await limiter.takeAll(new Map([[payer, 5]]));
    await limiter.giveBack(new Map([[payer, 3]]));
    expect(await limiter.takeAll(new Map([[payer, 4]]))).toMatchObject({ accountId: payer });
    expect(await limiter.takeAll(new Map([[payer, 3]]))).toBeUndefined();
    await limiter.giveBack(new Map([[payer, 9]]));
    expect(await redis.exists(keyOf(payer))).toBe(0);
  });

  test('batches at the same time never get more than there is', async () => {
    const other = `payer-${randomUUID()}`;
    const limiter = buckets({ capacity: 50, refillPerSecond: 0.001 });
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
    // The clock is the only difference between the two, so the script gets the test's.
    const script = readFileSync(file, 'utf8').replace("redis.call('TIME')", '{ ARGV[3], ARGV[4] }');
    for (const settings of [
      { capacity: 3, refillPerSecond: 7 },
      { capacity: 200, refillPerSecond: 100 },
      { capacity: 1_000_000, refillPerSecond: 1 },
    ]) {
      const local = new LocalTokenBuckets(settings);
      const key = keyOf(randomUUID());
      let nowUs = await serverUs();
      for (let step = 0; step < 1_000; step += 1) {
        nowUs += step % 10 < 7 ? 0 : Math.floor(Math.random() * 400_000);
        const time = [Math.floor(nowUs / 1_000_000), nowUs % 1_000_000];
        const shared = await redis.eval(script, 1, key, settings.capacity, settings.refillPerSecond, ...time);
        expect(shared).toEqual([local.take(payer, nowUs)]);
      }
    }
  });

  test('counts several tokens exactly as local buckets do', async () => {
    const file = new URL('../../src/infra/redis/token-buckets-together.lua', import.meta.url);
    const script = readFileSync(file, 'utf8').replace("redis.call('TIME')", '{ ARGV[5], ARGV[6] }');
    for (const settings of [
      { capacity: 30, refillPerSecond: 7 },
      { capacity: 200, refillPerSecond: 100 },
      { capacity: 1_000_000, refillPerSecond: 1 },
    ]) {
      const local = new LocalTokenBuckets(settings);
      const payers = [randomUUID(), randomUUID()];
      let nowUs = await serverUs();
      for (let step = 0; step < 1_000; step += 1) {
        nowUs += step % 10 < 7 ? 0 : Math.floor(Math.random() * 400_000);
        // Mostly taken, sometimes given back.
        const counts = payers.map(() => Math.ceil((Math.random() * 1.2 - 0.2) * 30));
        const time = [Math.floor(nowUs / 1_000_000), nowUs % 1_000_000];
        const { capacity, refillPerSecond } = settings;
        const shared = await redis.eval(script, 2, ...payers.map(keyOf), capacity, refillPerSecond, ...counts, ...time);
        expect(shared).toEqual(local.takeTogether(payers, counts, nowUs));
      }
    }
  });
});

describe('without Redis', () => {
  test('local buckets take over, and Redis is used again once it is back', async () => {
    const limiter = buckets({ capacity: 2, refillPerSecond: 1 });
    expect(await limiter.take(payer)).toBe(0);
    await redis.call('CLIENT', 'PAUSE', '300', 'ALL');
    const startedAt = performance.now();
    const taken = [await limiter.take(payer), await limiter.take(payer), await limiter.take(payer)];
    expect(performance.now() - startedAt).toBeLessThan(200);
    expect(taken.slice(0, 2)).toEqual([0, 0]);
    expect(taken[2]).toBeGreaterThan(900);
    expect(await decisions(registry, 'local')).toEqual({ allowed: 2, limited: 1 });
    await sleep(1_200);
    await limiter.take(payer);
    expect(await fallbacks(registry)).toBe(3);
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
    const limiter = buckets({ capacity: 10, refillPerSecond: 1 });
    expect(await limiter.take(payer)).toBe(0);
    await redis.script('FLUSH');
    expect(await limiter.take(payer)).toBe(0);
    expect(await fallbacks(registry)).toBe(0);
  });
});
