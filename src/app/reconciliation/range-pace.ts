/** Rows of the first range; what they cost is not known yet. */
const FIRST = 1_000;
const LEAST = 100;

/** A statement that takes longer is too large: other queries share the server. */
const SLOW_MS = 400;
/** One that takes less may be larger: each statement costs something by itself. */
const FAST_MS = 150;

/**
 * How many rows a statement examines, so that it takes well below a second: where rows
 * are in memory thousands, where each is read from a disk a few hundred.
 */
export class RangePace {
  readonly #most: number;
  #rows: number;

  constructor(most: number) {
    this.#most = most;
    this.#rows = Math.min(FIRST, most);
  }

  get rows(): number {
    return this.#rows;
  }

  /** Takes note of how long those rows took, in milliseconds. */
  took(ms: number): void {
    if (ms > SLOW_MS) this.#rows = Math.min(this.#most, Math.max(LEAST, Math.floor((this.#rows * FAST_MS) / ms)));
    else if (ms < FAST_MS) this.#rows = Math.min(this.#most, this.#rows * 2);
  }
}
