/**
 * Keeps calls away from something that has just failed, so that each of them need
 * not wait to find that out. After the pause one call is let through to try; the
 * others follow once it has succeeded. Times are in milliseconds of any clock.
 */
export class CircuitBreaker {
  readonly #pauseMs: number;
  /** Undefined while all is well. */
  #retryAtMs: number | undefined;

  constructor(pauseMs: number) {
    this.#pauseMs = pauseMs;
  }

  /** Whether a call may be made now; it must report how it went. */
  allows(nowMs: number): boolean {
    if (this.#retryAtMs === undefined) return true;
    if (nowMs < this.#retryAtMs) return false;
    // The others wait for this one, or a pause longer should it never report.
    this.#retryAtMs = nowMs + this.#pauseMs;
    return true;
  }

  succeeded(): void {
    this.#retryAtMs = undefined;
  }

  failed(nowMs: number): void {
    this.#retryAtMs = nowMs + this.#pauseMs;
  }
}
