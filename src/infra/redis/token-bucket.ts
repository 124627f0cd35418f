import { readFileSync } from 'node:fs';
import type { Result } from 'ioredis';
import { Counter, type Registry } from 'prom-client';
import { batched } from '../../app/batcher.ts';
import { shardOf } from '../../app/domain/shard.ts';
import type { Outage } from '../../app/outage.ts';
import type { RateLimiter } from '../../app/ports.ts';
import { withinLimit } from '../../app/time-limit.ts';
import { CircuitBreaker } from './circuit-breaker.ts';
import type { RedisClient } from './connection.ts';
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

/**
 * On Redis Cluster, all keys of a script must be in one slot, and account ids would be all
 * over them: buckets are in so many slots instead, each with its part of the payers.
 */
const CLUSTER_GROUPS = 16;

/** Whose buckets they are. */
type BucketOwner = 'payer' | 'external' | 'caller';

export type LimiterDecisions = Counter<'owner' | 'buckets' | 'decision'>;

/** What all token buckets of a process count in. */
export function limiterDecisions(registry: Registry): LimiterDecisions {
  return new Counter({
    name: 'payment_ledger_rate_limit_decisions_total',
    help: "What token buckets decided; those of the process itself while Redis' are unreachable or slow.",
    labelNames: ['owner', 'buckets', 'decision'],
    registers: [registry],
  });
}

/**
 * Token buckets in Redis, which all replicas share. When Redis fails or keeps a payment
 * for 50 ms, buckets of this process take over: payments go on, and
 * payment_ledger_rate_limit_decisions_total shows how many were decided so.
 *
 * Tokens asked for in one turn of the event loop, or while others are being taken, are
 * taken together: apart, they cost this process and Redis a tenth of all that a payment
 * costs. On Redis Cluster, those of a slot are.
 */
export class RedisTokenBuckets implements RateLimiter {
  readonly #redis: RedisClient;
  readonly #settings: TokenBucketSettings;
  readonly #owner: BucketOwner;
  readonly #keyPrefix: string;
  readonly #local: LocalTokenBuckets;
  /** One for each group of buckets: on Redis Cluster, those of other nodes go on. */
  readonly #breakers: readonly CircuitBreaker[];
  readonly #decisions: LimiterDecisions;
  readonly #outage: Outage;
  readonly #takeSoon: (payerAccountId: string) => Promise<number>;

  /** outage is told of calls to Redis that fail, and of those that do not. */
  constructor(
    redis: RedisClient,
    settings: TokenBucketSettings,
    decisions: LimiterDecisions,
    outage: Outage,
    owner: BucketOwner = 'payer',
  ) {
    redis.defineCommand('takeTokens', { lua: SCRIPT });
    this.#redis = redis;
    this.#breakers = Array.from({ length: redis.isCluster ? CLUSTER_GROUPS : 1 }, () => new CircuitBreaker(PAUSE_MS));
    this.#settings = settings;
    this.#owner = owner;
    // A caller may have the name of an account.
    this.#keyPrefix = owner === 'caller' ? 'payment-ledger:caller-bucket:' : 'payment-ledger:bucket:';
    this.#outage = outage;
    this.#local = new LocalTokenBuckets(settings);
    this.#takeSoon = batched((payers: readonly string[]) => this.#takeTogether(payers), {
      slots: 1,
      maxBatch: MAX_TAKES,
    });
    this.#decisions = decisions;
    // There from the start, so that the first of a kind shows as a rise.
    for (const buckets of ['redis', 'local'] as const) this.#counted(buckets, []);
  }

  take(payerAccountId: string): Promise<number> {
    return this.#takeSoon(payerAccountId);
  }

  /** Never throws. */
  async #takeTogether(payerAccountIds: readonly string[]): Promise<readonly number[]> {
    if (this.#breakers.length === 1) return this.#takeFromGroup(0, payerAccountIds);
    const waits = new Array<number>(payerAccountIds.length);
    const groups = Map.groupBy(payerAccountIds.keys(), (index) =>
      shardOf(payerAccountIds[index]!, this.#breakers.length),
    );
    const calls = [...groups].map(async ([group, indexes]) => {
      const answers = await this.#takeFromGroup(
        group,
        indexes.map((index) => payerAccountIds[index]!),
      );
      for (const [position, index] of indexes.entries()) waits[index] = answers[position]!;
    });
    await Promise.all(calls);
    return waits;
  }

  async #takeFromGroup(group: number, payerAccountIds: readonly string[]): Promise<readonly number[]> {
    const waits = await this.#ask(group, payerAccountIds);
    if (waits !== undefined) return this.#counted('redis', waits);
    const nowUs = Math.floor(performance.now() * 1_000);
    const takeLocally = (payerAccountId: string) => this.#local.take(payerAccountId, nowUs);
    return this.#counted('local', payerAccountIds.map(takeLocally));
  }

  /** Undefined if Redis is unreachable or slow. */
  async #ask(group: number, payerAccountIds: readonly string[]): Promise<readonly number[] | undefined> {
    const breaker = this.#breakers[group]!;
    if (!breaker.allows(performance.now())) return undefined;
    try {
      const { capacity, refillPerSecond } = this.#settings;
      // What is in braces alone decides on the slot.
      const tag = this.#breakers.length === 1 ? '' : `{${group}}:`;
      const keys = payerAccountIds.map((payerAccountId) => this.#keyPrefix + tag + payerAccountId);
      const waits = await withinLimit(
        this.#redis.takeTokens(keys.length, ...keys, capacity, refillPerSecond),
        LIMIT_MS,
      );
      breaker.succeeded();
      this.#outage.succeeded();
      return waits;
    } catch (error) {
      breaker.failed(performance.now());
      this.#outage.failed(error);
      return undefined;
    }
  }

  #counted(buckets: 'redis' | 'local', waits: readonly number[]): readonly number[] {
    let allowed = 0;
    for (const retryAfterMs of waits) if (retryAfterMs === 0) allowed += 1;
    this.#decisions.inc({ owner: this.#owner, buckets, decision: 'allowed' }, allowed);
    this.#decisions.inc({ owner: this.#owner, buckets, decision: 'limited' }, waits.length - allowed);
    return waits;
  }
}
