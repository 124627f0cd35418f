import { hash } from 'node:crypto';
import type { Caller } from '../caller.ts';

interface Verified {
  readonly caller: Caller;
  readonly untilMs: number;
}

/**
 * Whose tokens were verified and have not expired: to verify one costs as much CPU as
 * a payment. Tokens are kept as their hashes, so that memory holds none. Bounded, the
 * longest unused go first.
 */
export class TokenCache {
  readonly #verified = new Map<string, Verified>();
  readonly #max: number;

  constructor(max = 10_000) {
    this.#max = max;
  }

  find(token: string, nowMs: number): Caller | undefined {
    const key = hash('sha256', token, 'base64');
    const found = this.#verified.get(key);
    if (found === undefined) return undefined;
    this.#verified.delete(key);
    if (nowMs >= found.untilMs) return undefined;
    this.#verified.set(key, found);
    return found.caller;
  }

  keep(token: string, caller: Caller, untilMs: number): void {
    this.#verified.set(hash('sha256', token, 'base64'), { caller, untilMs });
    if (this.#verified.size <= this.#max) return;
    const [oldest] = this.#verified.keys();
    this.#verified.delete(oldest!);
  }

  clear(): void {
    this.#verified.clear();
  }
}
