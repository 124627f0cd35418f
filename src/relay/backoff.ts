/** Waits that double from the first to the last, with jitter so that workers do not retry in step. Milliseconds. */
export class Backoff {
  readonly #firstMs: number;
  readonly #lastMs: number;
  #nextMs: number;

  constructor(firstMs: number, lastMs: number) {
    this.#firstMs = firstMs;
    this.#lastMs = lastMs;
    this.#nextMs = firstMs;
  }

  /** How long to wait now. */
  next(): number {
    const delayMs = this.#nextMs;
    this.#nextMs = Math.min(this.#nextMs * 2, this.#lastMs);
    return delayMs * (0.75 + Math.random() * 0.5);
  }

  reset(): void {
    this.#nextMs = this.#firstMs;
  }
}
