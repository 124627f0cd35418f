/**
 * Counts of durations in buckets that are 1 % wide or narrower, from a microsecond
 * to two minutes; histograms of several processes and rounds add up.
 */
export class Histogram {
  readonly #counts: Uint32Array;
  #total = 0;

  /** counts are those of toJSON(). */
  constructor(counts: readonly number[] = []) {
    this.#counts = new Uint32Array(BUCKETS);
    this.#counts.set(counts);
    for (const count of counts) this.#total += count;
  }

  get total(): number {
    return this.#total;
  }

  record(durationMs: number): void {
    const us = Math.max(durationMs * 1_000, 1);
    this.#counts[Math.min(Math.floor(Math.log(us) * PER_E), BUCKETS - 1)]! += 1;
    this.#total += 1;
  }

  add(other: Histogram): void {
    for (let i = 0; i < BUCKETS; i++) this.#counts[i]! += other.#counts[i]!;
    this.#total += other.#total;
  }

  /** The duration that a share (0 to 1) of all stays below, in milliseconds; NaN if there are none. */
  quantileMs(share: number): number {
    let left = Math.max(Math.ceil(share * this.#total), 1);
    for (let i = 0; i < BUCKETS; i++) {
      left -= this.#counts[i]!;
      // The middle of the bucket.
      if (left <= 0) return Math.exp((i + 0.5) / PER_E) / 1_000;
    }
    return Number.NaN;
  }

  toJSON(): number[] {
    return Array.from(this.#counts);
  }
}

/** Buckets for each factor of e. */
const PER_E = 100;
/** Up to 120 seconds. */
const BUCKETS = Math.ceil(Math.log(120e6) * PER_E);
