export interface TokenBucketSettings {
  /** The tokens of a full bucket: the largest burst. */
  readonly capacity: number;
  /** Tokens that flow back each second. */
  readonly refillPerSecond: number;
}

interface Bucket {
  /** In millionths of a token. */
  readonly tokens: number;
  /** When it had them, in microseconds. */
  readonly atUs: number;
}

/** One token in the millionths that buckets count in; see token-bucket.lua for why, the arithmetic is the same. */
const TOKEN = 1_000_000;

/** Payers remembered: some 10 MB at most. */
const MAX_BUCKETS = 100_000;

/**
 * Token buckets in the memory of this process, for when Redis is unreachable. Buckets
 * start full and replicas know nothing of each other, so a payer may get a burst
 * from each: the limit is looser then, but there is one.
 */
export class LocalTokenBuckets {
  readonly #settings: TokenBucketSettings;
  readonly #maxBuckets: number;
  /** The longest unused first. */
  readonly #buckets = new Map<string, Bucket>();

  constructor(settings: TokenBucketSettings, maxBuckets = MAX_BUCKETS) {
    this.#settings = settings;
    this.#maxBuckets = maxBuckets;
  }

  /** Takes one token. Returns the milliseconds until there is one again, 0 if it got one. nowUs never goes back. */
  take(payerAccountId: string, nowUs: number): number {
    const tokens = this.#tokensOf(payerAccountId, nowUs) - TOKEN;
    if (tokens < 0) return this.#waitMs(tokens);
    this.#set(payerAccountId, { tokens, atUs: nowUs });
    return 0;
  }

  /** Takes of each payer as many, or none of any; below 0 gives back. Returns for each what take() does. */
  takeTogether(payerAccountIds: readonly string[], counts: readonly number[], nowUs: number): number[] {
    const left = payerAccountIds.map((payer, index) => this.#tokensOf(payer, nowUs) - counts[index]! * TOKEN);
    if (left.every((tokens) => tokens >= 0)) {
      const most = this.#settings.capacity * TOKEN;
      for (const [index, tokens] of left.entries()) {
        this.#set(payerAccountIds[index]!, { tokens: Math.min(most, tokens), atUs: nowUs });
      }
    }
    return left.map((tokens) => Math.max(0, this.#waitMs(tokens)));
  }

  #tokensOf(payerAccountId: string, nowUs: number): number {
    const capacity = this.#settings.capacity * TOKEN;
    const bucket = this.#buckets.get(payerAccountId);
    if (bucket === undefined) return capacity;
    return Math.min(capacity, bucket.tokens + (nowUs - bucket.atUs) * this.#settings.refillPerSecond);
  }

  /** Until there are so many that none is lacking. */
  #waitMs(tokens: number): number {
    return Math.ceil(-tokens / this.#settings.refillPerSecond / 1_000);
  }

  #set(payerAccountId: string, bucket: Bucket): void {
    this.#buckets.delete(payerAccountId);
    this.#buckets.set(payerAccountId, bucket);
    if (this.#buckets.size > this.#maxBuckets) this.#forgetOldest();
  }

  /** The longest unused is the likeliest to be full again, and then nothing is lost. */
  #forgetOldest(): void {
    const [oldest] = this.#buckets.keys();
    if (oldest !== undefined) this.#buckets.delete(oldest);
  }
}
