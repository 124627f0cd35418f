import type { Account, AccountType } from './domain/account.ts';
import type { LedgerEntry } from './domain/ledger.ts';
import type { Action } from './domain/payment.ts';
import type { CurrentPayment, PaymentStatus } from './domain/payment-balance.ts';

/** A part of a list. */
export interface Page<Item, Cursor> {
  readonly items: readonly Item[];
  /** Where the next page begins; undefined at the end of the list. A page may be short though there is a next one. */
  readonly next: Cursor | undefined;
}

export interface AccountFilter {
  readonly currency: string | undefined;
  readonly type: AccountType | undefined;
}

/** A stretch of an account's history; what is undefined has no limit. */
export interface EntryRange {
  readonly accountId: string;
  readonly order: 'NEWEST_FIRST' | 'OLDEST_FIRST';
  readonly createdFrom: Date | undefined;
  readonly createdBefore: Date | undefined;
  readonly versionFrom: bigint | undefined;
  readonly versionBefore: bigint | undefined;
}

/** A ledger entry as its account's statement shows it. */
export interface StatementEntry extends LedgerEntry {
  readonly paymentId: string;
  readonly counterpartyAccountId: string;
}

/** After which of an account's entries: by its version, or the last one made until a time. */
export type SnapshotPoint = { readonly version: bigint } | { readonly version?: never; readonly at: Date };

export interface BalanceSnapshot {
  readonly currency: string;
  /** Undefined if the account has no entry of the version that was asked for. */
  readonly after:
    | {
        readonly version: bigint;
        /** What was posted. */
        readonly balanceCents: bigint;
        /** What the account had on hold for others. */
        readonly pendingCents: bigint;
        readonly entryAt: Date | undefined;
      }
    | undefined;
}

export interface PaymentFilter {
  readonly accountId: string | undefined;
  /** Of the account; either if it is undefined. */
  readonly role: 'PAYER' | 'PAYEE' | undefined;
  readonly statuses: ReadonlySet<PaymentStatus>;
  readonly reference: string | undefined;
  /** That has an action on the payment. */
  readonly batchId: string | undefined;
  readonly createdFrom: Date | undefined;
  readonly createdBefore: Date | undefined;
}

/** Where a page of payments begins. */
export interface PaymentCursor {
  /** Before this version of the account, where payments are listed by account: those that were authorized at once. */
  readonly versionBefore: bigint | undefined;
  /** Before this payment: holds and the declined ones by account, otherwise all. */
  readonly paymentBefore: string | undefined;
}

/** Reads that look at many rows, each by statements of its own; bounded, whatever is asked for. Throw as Ledger does. */
export interface Listings {
  /** By id, after the one that is given. */
  accounts(filter: AccountFilter, after: string | undefined, size: number): Promise<Page<Account, string>>;
  /** The newest first; there is an account, a reference, a batch or a time from which on. */
  payments(
    filter: PaymentFilter,
    cursor: PaymentCursor | undefined,
    size: number,
  ): Promise<Page<CurrentPayment, PaymentCursor>>;
  /** Of a payment, in the order in which they took effect, after the one that is given. */
  actions(paymentId: string, after: string | undefined, size: number): Promise<Page<Action, string>>;
  /** Entries from a version on, in the order of the range. Undefined if there is no such account. */
  entries(range: EntryRange, from: bigint | undefined, size: number): Promise<Page<StatementEntry, bigint> | undefined>;
  /** Undefined if there is no such account. */
  snapshot(accountId: string, point: SnapshotPoint): Promise<BalanceSnapshot | undefined>;
}
