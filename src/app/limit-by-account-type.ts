import type { AccountTypes } from './account-types.ts';
import { ServiceError } from './errors.ts';
import type { BatchRateLimiter, Shortage, TokenBuckets, Tokens } from './ports.ts';

/**
 * A limit for customers, and another or none for EXTERNAL payers, by which all deposits
 * of a currency may come. Without one, a payer's type matters only once its bucket is
 * empty, so that other payments pay nothing for it.
 */
export class LimitByAccountType implements BatchRateLimiter {
  readonly #customers: TokenBuckets;
  readonly #external: TokenBuckets | undefined;
  readonly #types: AccountTypes;

  constructor(customers: TokenBuckets, external: TokenBuckets | undefined, types: AccountTypes) {
    this.#customers = customers;
    this.#external = external;
    this.#types = types;
  }

  async take(payerAccountId: string): Promise<number> {
    const isExternal =
      this.#external === undefined
        ? this.#types.known(payerAccountId, performance.now())?.type === 'EXTERNAL'
        : await this.#isExternal(payerAccountId);
    if (isExternal) return this.#external?.take(payerAccountId) ?? 0;

    const retryAfterMs = await this.#customers.take(payerAccountId);
    if (retryAfterMs === 0 || this.#external !== undefined) return retryAfterMs;
    return (await this.#isExternal(payerAccountId)) ? 0 : retryAfterMs;
  }

  async takeAll(tokens: Tokens): Promise<Shortage | undefined> {
    const { ofCustomers, ofExternal } = await this.#byType(tokens);
    const shortage = await this.#customers.takeAll(ofCustomers);
    if (shortage !== undefined) return (await this.#isOfExternal(shortage)) ? this.takeAll(tokens) : shortage;
    const ofOthers = await this.#external?.takeAll(ofExternal);
    if (ofOthers !== undefined) await this.#customers.giveBack(ofCustomers);
    return ofOthers;
  }

  async #byType(tokens: Tokens) {
    const external = await Promise.all([...tokens.keys()].map((accountId) => this.#isExternal(accountId)));
    const { ofCustomers = [], ofExternal = [] } = Object.groupBy([...tokens], (_, index) =>
      external[index] ? 'ofExternal' : 'ofCustomers',
    );
    return { ofCustomers: new Map(ofCustomers), ofExternal: new Map(ofExternal) };
  }

  /**
   * What a customer never gets, an EXTERNAL payer may, and for good it is refused only to those who are known.
   * Throws as Ledger does.
   */
  async #isOfExternal({ accountId, retryAfterMs }: Shortage): Promise<boolean> {
    if (retryAfterMs !== Number.POSITIVE_INFINITY) return false;
    return (await this.#types.find(accountId, performance.now())) === 'EXTERNAL';
  }

  /** An account that does not exist, or cannot be looked up now, counts as a customer's. */
  async #isExternal(accountId: string): Promise<boolean> {
    try {
      return (await this.#types.find(accountId, performance.now())) === 'EXTERNAL';
    } catch (error) {
      // The limiter never fails: what is wrong with Postgres the payment itself will tell.
      if (error instanceof ServiceError) return false;
      throw error;
    }
  }
}
