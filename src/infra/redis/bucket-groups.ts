import { shardOf } from '../../app/domain/shard.ts';
import type { Outage } from '../../app/outage.ts';
import { withinLimit } from '../../app/time-limit.ts';
import { CircuitBreaker } from './circuit-breaker.ts';
import type { RedisClient } from './connection.ts';

/** What a call may take at most. A payment waits for two at most, one that was in flight and its own. */
const LIMIT_MS = 25;
/** How long Redis is left alone after it failed. */
const PAUSE_MS = 1_000;

/**
 * On Redis Cluster, all keys of a script must be in one slot, and account ids would be all
 * over them: buckets are in so many slots instead, each with its part of the payers.
 */
const CLUSTER_GROUPS = 16;

/** The token buckets in Redis, in groups of which each can be reached by one script. */
export class BucketGroups {
  readonly #keyPrefix: string;
  /** One for each group: on Redis Cluster, those of other nodes go on. */
  readonly #breakers: readonly CircuitBreaker[];
  readonly #outage: Outage;
  readonly #limitMs: number;

  /** outage is told of calls to Redis that fail, and of those that do not. */
  constructor({ isCluster }: Pick<RedisClient, 'isCluster'>, keyPrefix: string, outage: Outage, limitMs = LIMIT_MS) {
    this.#keyPrefix = keyPrefix;
    this.#breakers = Array.from({ length: isCluster ? CLUSTER_GROUPS : 1 }, () => new CircuitBreaker(PAUSE_MS));
    this.#outage = outage;
    this.#limitMs = limitMs;
  }

  get single(): boolean {
    return this.#breakers.length === 1;
  }

  of(accountId: string): number {
    return this.single ? 0 : shardOf(accountId, this.#breakers.length);
  }

  /** What run answers, which is given the keys of the buckets. Undefined if Redis is unreachable or slow; never throws. */
  async ask(
    group: number,
    accountIds: readonly string[],
    run: (keys: string[]) => Promise<number[]>,
  ): Promise<readonly number[] | undefined> {
    const breaker = this.#breakers[group]!;
    if (!breaker.allows(performance.now())) return undefined;
    try {
      // What is in braces alone decides on the slot.
      const tag = this.single ? '' : `{${group}}:`;
      const answer = await withinLimit(run(accountIds.map((id) => this.#keyPrefix + tag + id)), this.#limitMs);
      breaker.succeeded();
      this.#outage.succeeded();
      return answer;
    } catch (error) {
      breaker.failed(performance.now());
      this.#outage.failed(error);
      return undefined;
    }
  }
}
