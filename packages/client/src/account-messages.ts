import {
  type Account,
  type AccountEntry,
  AccountEntryType,
  AccountType,
  Account_State as State,
} from '../../../src/gen/payment/v1/account.ts';
import { nameOf } from './names.ts';

export interface LedgerAccount {
  readonly accountId: string;
  readonly currency: string;
  readonly type: 'CUSTOMER' | 'EXTERNAL' | (string & {});
  readonly overdraftLimitCents: bigint;
  /** RFC 3339. */
  readonly openedAt: string;
  /** FROZEN if debits, credits or both are. CLOSED is for good. */
  readonly state: 'ACTIVE' | 'FROZEN' | 'CLOSED' | (string & {});
  /** It cannot pay. */
  readonly debitsFrozen: boolean;
  /** It cannot be paid. */
  readonly creditsFrozen: boolean;
  readonly metadata: Readonly<Record<string, string>>;
  /** Another one after each change of the account; payments leave it alone. */
  readonly etag: string;
}

/** What one action did to one account. */
export interface LedgerEntry {
  readonly version: bigint;
  readonly type: 'DEBIT' | 'CREDIT' | 'HOLD' | 'RELEASE' | (string & {});
  readonly amountCents: bigint;
  /** Of the DEBIT of a capture: what went from on hold back to the account's funds with it. */
  readonly releasedCents: bigint;
  /** The account's posted balance after it. */
  readonly postedAfterCents: bigint;
  /** What the account had on hold for others after it. */
  readonly pendingAfterCents: bigint;
  readonly actionId: string;
  readonly paymentId: string;
  readonly counterpartyAccountId: string;
  /** RFC 3339. */
  readonly createdAt: string;
}

export interface Balance {
  readonly accountId: string;
  readonly currency: string;
  /** Posted less pending: with the overdraft limit, what may be spent. */
  readonly availableBalanceCents: bigint;
  /** What is on hold for others. */
  readonly pendingBalanceCents: bigint;
  /** Credits less debits. */
  readonly postedBalanceCents: bigint;
  /** What is on hold for the account. It cannot be spent. */
  readonly incomingPendingCents: bigint;
  /** Of the account's last entry; 0n before the first. */
  readonly version: bigint;
}

/** What an account held at a time or after an entry; zeros before the first. */
export interface BalanceSnapshot extends Omit<Balance, 'incomingPendingCents'> {
  /** Of the last entry that counts, RFC 3339; undefined at version 0n. */
  readonly lastEntryAt: string | undefined;
}

export function toLedgerAccount(account: Account): LedgerAccount {
  return {
    accountId: account.accountId,
    currency: account.currency,
    type: nameOf(AccountType, 'ACCOUNT_TYPE_', account.type),
    overdraftLimitCents: account.overdraftLimitCents,
    openedAt: account.openedAt,
    state: nameOf(State, 'STATE_', account.state),
    debitsFrozen: account.debitsFrozen,
    creditsFrozen: account.creditsFrozen,
    metadata: account.metadata,
    etag: account.etag,
  };
}

export function toLedgerEntry(entry: AccountEntry): LedgerEntry {
  return {
    version: entry.version,
    type: nameOf(AccountEntryType, 'ACCOUNT_ENTRY_TYPE_', entry.type),
    amountCents: entry.amountCents,
    releasedCents: entry.releasedCents,
    postedAfterCents: entry.postedAfterCents,
    pendingAfterCents: entry.pendingAfterCents,
    actionId: entry.actionId,
    paymentId: entry.paymentId,
    counterpartyAccountId: entry.counterpartyAccountId,
    createdAt: entry.createdAt,
  };
}
