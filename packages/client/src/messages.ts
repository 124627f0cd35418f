import { type Account, type AccountEntry, AccountEntryType, AccountType } from '../../../src/gen/payment/v1/account.ts';
import { type Payment, PaymentErrorCode, PaymentStatus } from '../../../src/gen/payment/v1/payment.ts';
import type { DeclineCode } from './errors.ts';

/** What to pay. A repeated call must have the same values; only the description may differ. */
export interface PaymentRequest {
  /** One for each payment, stored before the call: newIdempotencyKey() makes one. */
  readonly idempotencyKey: string;
  readonly payerAccountId: string;
  readonly payeeAccountId: string;
  /** In minor units of the currency. */
  readonly amountCents: bigint;
  /** ISO 4217, as of both accounts. */
  readonly currency: string;
  readonly description?: string;
  readonly reference?: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** The money has moved. */
export interface AuthorizedPayment {
  readonly paymentId: string;
  /** RFC 3339. */
  readonly processedAt: string;
  /** True if an earlier call with this key moved it, and not this one. */
  readonly duplicate: boolean;
}

/** A payment as the service keeps it. Status is a string besides AUTHORIZED and DECLINED where the service is newer. */
export interface StoredPayment {
  readonly paymentId: string;
  readonly status: 'AUTHORIZED' | 'DECLINED' | (string & {});
  readonly payerAccountId: string;
  readonly payeeAccountId: string;
  readonly amountCents: bigint;
  readonly currency: string;
  readonly description: string;
  readonly reference: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** RFC 3339. */
  readonly createdAt: string;
  /** Why it was declined, if it was. */
  readonly decline: { readonly code: DeclineCode; readonly message: string } | undefined;
}

export interface LedgerAccount {
  readonly accountId: string;
  readonly currency: string;
  readonly type: 'CUSTOMER' | 'EXTERNAL' | (string & {});
  readonly overdraftLimitCents: bigint;
  /** RFC 3339. */
  readonly openedAt: string;
}

/** One side of a payment in the books. */
export interface LedgerEntry {
  readonly version: bigint;
  readonly type: 'DEBIT' | 'CREDIT' | (string & {});
  readonly amountCents: bigint;
  /** The account's balance after it. */
  readonly postedAfterCents: bigint;
  readonly paymentId: string;
  readonly counterpartyAccountId: string;
  /** RFC 3339. */
  readonly createdAt: string;
}

export interface Balance {
  readonly accountId: string;
  readonly currency: string;
  readonly availableBalanceCents: bigint;
  readonly pendingBalanceCents: bigint;
}

/** An enum's value by name and without its prefix; UNRECOGNIZED_n where the service is newer than this client. */
export function nameOf(values: Readonly<Record<string, number>>, prefix: string, value: number): string {
  const name = Object.keys(values).find((each) => values[each] === value);
  return name === undefined ? `UNRECOGNIZED_${value}` : name.slice(prefix.length);
}

export function declineCode(value: PaymentErrorCode | undefined): DeclineCode {
  return nameOf(PaymentErrorCode, 'PAYMENT_ERROR_CODE_', value ?? PaymentErrorCode.PAYMENT_ERROR_CODE_UNSPECIFIED);
}

export function toStoredPayment(payment: Payment): StoredPayment {
  return {
    paymentId: payment.paymentId,
    status: nameOf(PaymentStatus, 'PAYMENT_STATUS_', payment.status),
    payerAccountId: payment.payerAccountId,
    payeeAccountId: payment.payeeAccountId,
    amountCents: payment.amountCents,
    currency: payment.currency,
    description: payment.description,
    reference: payment.reference,
    metadata: payment.metadata,
    createdAt: payment.createdAt,
    decline: payment.error && { code: declineCode(payment.error.code), message: payment.error.message },
  };
}

export function toLedgerAccount(account: Account): LedgerAccount {
  return {
    accountId: account.accountId,
    currency: account.currency,
    type: nameOf(AccountType, 'ACCOUNT_TYPE_', account.type),
    overdraftLimitCents: account.overdraftLimitCents,
    openedAt: account.openedAt,
  };
}

export function toLedgerEntry(entry: AccountEntry): LedgerEntry {
  return {
    version: entry.version,
    type: nameOf(AccountEntryType, 'ACCOUNT_ENTRY_TYPE_', entry.type),
    amountCents: entry.amountCents,
    postedAfterCents: entry.postedAfterCents,
    paymentId: entry.paymentId,
    counterpartyAccountId: entry.counterpartyAccountId,
    createdAt: entry.createdAt,
  };
}
