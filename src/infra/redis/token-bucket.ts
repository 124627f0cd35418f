import { readFileSync } from 'node:fs';
import type { Result } from 'ioredis';
import { Counter, type Registry } from 'prom-client';
import { batched } from '../../app/batcher.ts';
import type { Outage } from '../../app/outage.ts';
import type { Shortage, TokenBuckets, Tokens } from '../../app/ports.ts';
import { BucketGroups } from './bucket-groups.ts';
import type { RedisClient } from './connection.ts';
import { LocalTokenBuckets, type TokenBucketSettings } from './local-token-bucket.ts';

declare module 'ioredis' {
  interface RedisCommander<Context> {
    takeTokens(...keysAndArguments: (string | number)[]): Result<number[], Context>;
    takeTokensTogether(...keysAndArguments: (string | number)[]): Result<number[], Context>;
  }
}

const script = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8');
const TAKE = script('./token-bucket.lua');
const TAKE_TOGETHER = script('./token-buckets-together.lua');

/** Tokens asked for in one call at most, which bounds how long the script keeps Redis to itself: about a millisecond. */
const MAX_TAKES = 250;

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
export class RedisTokenBuckets implements TokenBuckets {
  readonly #redis: RedisClient;
  readonly #settings: TokenBucketSettings;
  readonly #owner: BucketOwner;
  readonly #local: LocalTokenBuckets;
  readonly #groups: BucketGroups;
  readonly #decisions: LimiterDecisions;
  readonly #takeSoon: (payerAccountId: string) => Promise<number>;

  /** outage is told of calls to Redis that fail, and of those that do not. */
  constructor(
    redis: RedisClient,
    settings: TokenBucketSettings,
    decisions: LimiterDecisions,
    outage: Outage,
    owner: BucketOwner = 'payer',
    limitMs?: number,
  ) {
    redis.defineCommand('takeTokens', { lua: TAKE });
    redis.defineCommand('takeTokensTogether', { lua: TAKE_TOGETHER });
    this.#redis = redis;
    this.#settings = settings;
    this.#owner = owner;
    // A caller may have the name of an account.
    const keyPrefix = owner === 'caller' ? 'payment-ledger:caller-bucket:' : 'payment-ledger:bucket:';
    this.#groups = new BucketGroups(redis, keyPrefix, outage, limitMs);
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

  /**
   * On Redis Cluster no script reaches the buckets of all groups. What one group has given is given back if another
   * lacks tokens: never is more let through than there are tokens, but somebody may be turned away meanwhile.
   */
  async takeAll(tokens: Tokens): Promise<Shortage | undefined> {
    const { capacity } = this.#settings;
    for (const [accountId, count] of tokens) {
      if (count > capacity) return { accountId, retryAfterMs: Number.POSITIVE_INFINITY };
    }
    const taken = await Promise.all(
      this.#inGroups(tokens).map(async (part) => ({ part, shortage: await this.#takePart(part, 1) })),
    );
    const shortages = taken.flatMap(({ shortage }) => shortage ?? []);
    if (shortages.length === 0) return undefined;
    const granted = taken.filter(({ shortage }) => shortage === undefined);
    await Promise.all(granted.map(({ part }) => this.#takePart(part, -1)));
    return longest(shortages);
  }

  async giveBack(tokens: Tokens): Promise<void> {
    await Promise.all(this.#inGroups(tokens).map((part) => this.#takePart(part, -1)));
  }

  #inGroups(tokens: Tokens): { group: number; wanted: [string, number][] }[] {
    const groups = Map.groupBy(tokens, ([accountId]) => this.#groups.of(accountId));
    return [...groups].map(([group, wanted]) => ({ group, wanted }));
  }

  /** All of the wanted tokens or none; sign is -1 to give them back. */
  async #takePart(
    { group, wanted }: { group: number; wanted: [string, number][] },
    sign: 1 | -1,
  ): Promise<Shortage | undefined> {
    const { capacity, refillPerSecond } = this.#settings;
    const accountIds = wanted.map(([accountId]) => accountId);
    const counts = wanted.map(([, count]) => sign * count);
    const inRedis = await this.#groups.ask(group, accountIds, (keys) =>
      this.#redis.takeTokensTogether(keys.length, ...keys, capacity, refillPerSecond, ...counts),
    );
    const waits = inRedis ?? this.#local.takeTogether(accountIds, counts, nowUs());
    const shortage = longest(accountIds.map((accountId, index) => ({ accountId, retryAfterMs: waits[index]! })));
    const sum = wanted.reduce((all, [, count]) => all + count, 0);
    if (sign === 1) this.#count(inRedis ? 'redis' : 'local', shortage ? { limited: sum } : { allowed: sum });
    return shortage;
  }

  /** Never throws. */
  async #takeTogether(payerAccountIds: readonly string[]): Promise<readonly number[]> {
    if (this.#groups.single) return this.#takeFromGroup(0, payerAccountIds);
    const waits = new Array<number>(payerAccountIds.length);
    const groups = Map.groupBy(payerAccountIds.keys(), (index) => this.#groups.of(payerAccountIds[index]!));
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
    const { capacity, refillPerSecond } = this.#settings;
    const waits = await this.#groups.ask(group, payerAccountIds, (keys) =>
      this.#redis.takeTokens(keys.length, ...keys, capacity, refillPerSecond),
    );
    if (waits !== undefined) return this.#counted('redis', waits);
    const atUs = nowUs();
    const takeLocally = (payerAccountId: string) => this.#local.take(payerAccountId, atUs);
    return this.#counted('local', payerAccountIds.map(takeLocally));
  }

  #counted(buckets: 'redis' | 'local', waits: readonly number[]): readonly number[] {
    let allowed = 0;
    for (const retryAfterMs of waits) if (retryAfterMs === 0) allowed += 1;
    this.#count(buckets, { allowed, limited: waits.length - allowed });
    return waits;
  }

  #count(buckets: 'redis' | 'local', { allowed = 0, limited = 0 }): void {
    this.#decisions.inc({ owner: this.#owner, buckets, decision: 'allowed' }, allowed);
    this.#decisions.inc({ owner: this.#owner, buckets, decision: 'limited' }, limited);
  }
}

/** Undefined if none has to be waited for. */
function longest(waits: readonly Shortage[]): Shortage | undefined {
  const worst = waits.reduce((one, other) => (other.retryAfterMs > one.retryAfterMs ? other : one), waits[0]!);
  return worst.retryAfterMs > 0 ? worst : undefined;
}

function nowUs(): number {
  return Math.floor(performance.now() * 1_000);
}
