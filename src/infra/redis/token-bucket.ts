import { readFileSync } from 'node:fs';
import type { Redis, Result } from 'ioredis';
import { Counter, type Registry } from 'prom-client';
import type { RateLimiter } from '../../app/ports.ts';
import { CircuitBreaker } from './circuit-breaker.ts';
import { LocalTokenBuckets, type TokenBucketSettings } from './local-token-bucket.ts';

declare module 'ioredis' {
  interface RedisCommander<Context> {
    takeToken(key: string, capacity: number, refillPerSecond: number): Result<number, Context>;
  }
}

const SCRIPT = readFileSync(new URL('./token-bucket.lua', import.meta.url), 'utf8');

/** What a payment may wait for Redis at most. */
const LIMIT_MS = 50;
/** How long Redis is left alone after it failed. */
const PAUSE_MS = 1_000;

/**
 * Token buckets in Redis, which all replicas share. When Redis fails or takes
 * longer than 50 ms, buckets of this process take over: payments go on, and
 * payment_ledger_rate_limit_fallback_total counts those decided so.
 */
export class RedisTokenBuckets implements RateLimiter {
  readonly #redis: Redis;
  readonly #settings: TokenBucketSettings;
  readonly #local: LocalTokenBuckets;
  readonly #breaker = new CircuitBreaker(PAUSE_MS);
  readonly #fallbacks: Counter;

  constructor(redis: Redis, settings: TokenBucketSettings, registry: Registry) {
    redis.defineCommand('takeToken', { numberOfKeys: 1, lua: SCRIPT });
    this.#redis = redis;
    this.#settings = settings;
    this.#local = new LocalTokenBuckets(settings);
    this.#fallbacks = new Counter({
      name: 'payment_ledger_rate_limit_fallback_total',
      help: 'Payments whose token came from a local bucket, because Redis was away or slow.',
      registers: [registry],
    });
  }

  async take(payerAccountId: string): Promise<number> {
    if (!this.#breaker.allows(performance.now())) return this.#takeLocally(payerAccountId);
    try {
      const { capacity, refillPerSecond } = this.#settings;
      const key = `payment-ledger:bucket:${payerAccountId}`;
      const retryAfterMs = await withinLimit(this.#redis.takeToken(key, capacity, refillPerSecond));
      this.#breaker.succeeded();
      return retryAfterMs;
    } catch {
      // A lost connection is in its own log, a slow one shows in the metric; the payment goes on.
      this.#breaker.failed(performance.now());
      return this.#takeLocally(payerAccountId);
    }
  }

  #takeLocally(payerAccountId: string): number {
    this.#fallbacks.inc();
    return this.#local.take(payerAccountId, Math.floor(performance.now() * 1_000));
  }
}

function withinLimit<T>(reply: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    // When our own event loop was held up, the reply may be there and only unread:
    // sockets are read between timers and setImmediate, so it gets that one chance.
    const timer = setTimeout(() => setImmediate(() => reject(new Error(`No answer within ${LIMIT_MS} ms`))), LIMIT_MS);
    const settle = () => clearTimeout(timer);
    reply.then(resolve, reject).finally(settle);
  });
}
