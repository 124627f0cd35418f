import { readFileSync } from 'node:fs';
import type { Redis, Result } from 'ioredis';
import { Counter, type Registry } from 'prom-client';
import { batched } from '../../app/batcher.ts';
import type { RateLimiter } from '../../app/ports.ts';
import { withinLimit } from '../../app/time-limit.ts';
import { CircuitBreaker } from './circuit-breaker.ts';
import { LocalTokenBuckets, type TokenBucketSettings } from './local-token-bucket.ts';

declare module 'ioredis' {
  interface RedisCommander<Context> {
    takeTokens(...keysAndArguments: (string | number)[]): Result<number[], Context>;
  }
}

const SCRIPT = readFileSync(new URL('./token-bucket.lua', import.meta.url), 'utf8');

/** What a call may take at most. A payment waits for two at most, one that was in flight and its own. */
const LIMIT_MS = 25;
/** How long Redis is left alone after it failed. */
const PAUSE_MS = 1_000;

/** Tokens asked for in one call at most, which bounds how long the script keeps Redis to itself: about a millisecond. */
const MAX_TAKES = 250;

/** What all token buckets of a process count in. */
export function limiterFallbacks(registry: Registry): Counter {
  return new Counter({
    name: 'payment_ledger_rate_limit_fallback_total',
    help: 'Payments whose token came from a local bucket, because Redis was unreachable or slow.',
    registers: [registry],
  });
}

/**
 * Token buckets in Redis, which all replicas share. When Redis fails or keeps a payment
 * for 50 ms, buckets of this process take over: payments go on, and
 * payment_ledger_rate_limit_fallback_total counts those decided so.
 *
 * Tokens asked for in one turn of the event loop, or while others are being taken, are
 * taken together: apart, they cost this process and Redis a tenth of all that a payment
 * costs.
 */
export class RedisTokenBuckets implements RateLimiter {
  readonly #redis: Redis;
  readonly #settings: TokenBucketSettings;
  readonly #local: LocalTokenBuckets;
  readonly #breaker = new CircuitBreaker(PAUSE_MS);
  readonly #fallbacks: Counter;
  readonly #takeSoon: (payerAccountId: string) => Promise<number>;

  constructor(redis: Redis, settings: TokenBucketSettings, fallbacks: Counter) {
    redis.defineCommand('takeTokens', { lua: SCRIPT });
    this.#redis = redis;
    this.#settings = settings;
    this.#local = new LocalTokenBuckets(settings);
    this.#takeSoon = batched((payers: readonly string[]) => this.#takeTogether(payers), {
      slots: 1,
      maxBatch: MAX_TAKES,
    });
    this.#fallbacks = fallbacks;
  }

  take(payerAccountId: string): Promise<number> {
    return this.#takeSoon(payerAccountId);
  }

  /** Never throws. */
  async #takeTogether(payerAccountIds: readonly string[]): Promise<readonly number[]> {
    const waits = await this.#ask(payerAccountIds);
    return waits ?? payerAccountIds.map((payerAccountId) => this.#takeLocally(payerAccountId));
  }

  /** Undefined if Redis is unreachable or slow. */
  async #ask(payerAccountIds: readonly string[]): Promise<readonly number[] | undefined> {
    if (!this.#breaker.allows(performance.now())) return undefined;
    try {
      const { capacity, refillPerSecond } = this.#settings;
      const keys = payerAccountIds.map((payerAccountId) => `payment-ledger:bucket:${payerAccountId}`);
      const waits = await withinLimit(
        this.#redis.takeTokens(keys.length, ...keys, capacity, refillPerSecond),
        LIMIT_MS,
      );
      this.#breaker.succeeded();
      return waits;
    } catch {
      // A lost connection is in its own log, a slow one shows in the metric; the payment goes on.
      this.#breaker.failed(performance.now());
      return undefined;
    }
  }

  #takeLocally(payerAccountId: string): number {
    this.#fallbacks.inc();
    return this.#local.take(payerAccountId, Math.floor(performance.now() * 1_000));
  }
}
