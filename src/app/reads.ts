import type { Admission } from './admission.ts';
import type { Account } from './domain/account.ts';
import type { Action } from './domain/payment.ts';
import type { CurrentPayment } from './domain/payment-balance.ts';
import { notFound } from './errors.ts';
import type {
  AccountFilter,
  BalanceSnapshot,
  EntryRange,
  Listings,
  Page,
  PaymentCursor,
  PaymentFilter,
  SnapshotPoint,
  StatementEntry,
} from './listings.ts';

/** Lists, statements and balances of the past. Every method throws also what Admission.run and Listings do. */
export class Reads {
  readonly #listings: Listings;
  readonly #admission: Admission;

  constructor(listings: Listings, admission: Admission) {
    this.#listings = listings;
    this.#admission = admission;
  }

  payments(
    filter: PaymentFilter,
    cursor: PaymentCursor | undefined,
    size: number,
    abandoned: () => boolean,
  ): Promise<Page<CurrentPayment, PaymentCursor>> {
    return this.#admission.run(() => this.#listings.payments(filter, cursor, size), abandoned);
  }

  actions(
    paymentId: string,
    after: string | undefined,
    size: number,
    abandoned: () => boolean,
  ): Promise<Page<Action, string>> {
    return this.#admission.run(() => this.#listings.actions(paymentId, after, size), abandoned);
  }

  accounts(
    filter: AccountFilter,
    after: string | undefined,
    size: number,
    abandoned: () => boolean,
  ): Promise<Page<Account, string>> {
    return this.#admission.run(() => this.#listings.accounts(filter, after, size), abandoned);
  }

  /** Throws ServiceError NOT_FOUND. */
  async entries(
    range: EntryRange,
    from: bigint | undefined,
    size: number,
    abandoned: () => boolean,
  ): Promise<Page<StatementEntry, bigint>> {
    const page = await this.#admission.run(() => this.#listings.entries(range, from, size), abandoned);
    if (page !== undefined) return page;
    throw notFound('Account', range.accountId);
  }

  /** Throws ServiceError NOT_FOUND for the account, and for a version that it does not have. */
  async snapshot(
    accountId: string,
    point: SnapshotPoint,
    abandoned: () => boolean,
  ): Promise<{ readonly currency: string } & NonNullable<BalanceSnapshot['after']>> {
    const snapshot = await this.#admission.run(() => this.#listings.snapshot(accountId, point), abandoned);
    if (snapshot === undefined) throw notFound('Account', accountId);
    if (snapshot.after === undefined) throw notFound('AccountEntry', `${accountId}/${point.version}`);
    return { currency: snapshot.currency, ...snapshot.after };
  }
}
