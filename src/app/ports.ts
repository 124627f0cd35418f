import type { Account, AccountType, Balance } from './domain/account.ts';
import type { PaymentEvent } from './domain/event.ts';
import type { LedgerEntry } from './domain/ledger.ts';
import type { Payment, PaymentRequest } from './domain/payment.ts';

/** An idempotency key, which belongs to its caller. */
export interface CallerKey {
  /** The authenticated identity; empty while calls are not authenticated. */
  readonly caller: string;
  readonly idempotencyKey: string;
}

/** A request to authorize, with the id its payment will have if it comes to one. */
export interface AuthorizeCommand extends PaymentRequest, CallerKey {
  /** A ULID, given once: a command that is run again is recognized by it. */
  readonly paymentId: string;
  /** Whether the caller may bring money into the books: pay from an EXTERNAL account. */
  readonly mayPayFromExternal: boolean;
  /** W3C trace context of the call, for the event. */
  readonly traceparent?: string | undefined;
}

/** One transaction over the whole ledger: everything in it commits together or not at all. */
export interface UnitOfWork {
  /**
   * Runs work in a transaction, writes the changes it returns and commits. Changes are
   * payments, ledger entries, balances and outbox; work must have locked the balances.
   * Returns work's result.
   *
   * Throws TransientError if the transaction may be run again (serialization
   * failure, deadlock, connection lost, also after COMMIT was sent: the commands'
   * payment ids tell whether it took hold); ContendedError if one of its locks was not
   * granted within lockWaitMs; and ServiceError UNAVAILABLE if Postgres is unavailable,
   * or took so much longer than the deadline that it was told to stop, before COMMIT.
   */
  run<T>(work: (transaction: LedgerTransaction) => Promise<Decision<T>>, limits: TimeLimits): Promise<T>;
  /**
   * Those of the locks that are kept at this moment, by name, and by whom. Waits for none
   * of them. Throws ServiceError UNAVAILABLE.
   */
  keptLocks(locks: readonly Lock[]): Promise<ReadonlyMap<string, LockHolder>>;
}

/** A lock that a payment needs: an account's, or that of an idempotency key. */
export type Lock = { readonly name: string } & (
  | { readonly accountId: string }
  | { readonly caller: string; readonly idempotencyKey: string }
);

/** How long a transaction may take. */
export interface TimeLimits {
  /** For each lock. */
  readonly lockWaitMs: number;
  /** When nobody waits for it any more, by Date.now(); Infinity if somebody always does. */
  readonly deadlineMs: number;
}

/** A transaction that keeps a lock. */
export interface LockHolder {
  /** Another transaction has another one, but for those that are claiming a key. */
  readonly transactionId: string;
  /** Whether it is one of this process, which soon ends. */
  readonly ours: boolean;
}

/** What the work of a transaction comes to. */
export interface Decision<T> {
  readonly result: T;
  /** Undefined if there is nothing to write. */
  readonly changes: LedgerChanges | undefined;
}

/**
 * What a payment transaction locks and reads before anything is written. Calls may be made without awaiting the one
 * before: they run in the order they were made.
 */
export interface LedgerTransaction {
  /**
   * Claims the commands' keys, in key order so that no two transactions wait for
   * each other. Waits for a transaction that is claiming the same key. Among commands
   * with one key the first gets it. Returns how many got theirs.
   */
  claimKeys(commands: readonly AuthorizeCommand[], now: Date): Promise<number>;
  /** Locks the accounts' balances until commit, in id order; accounts that do not exist are left out. */
  lockBalances(accountIds: readonly string[]): Promise<LockedBalances>;
  /** Who holds the commands' keys, by keyOf(command). */
  findKeyHolders(commands: readonly AuthorizeCommand[]): Promise<ReadonlyMap<string, KeyHolder>>;
}

export interface LockedBalances {
  readonly balances: readonly Balance[];
  /** The time by the ledger's one clock, and not before the last entry of any of the accounts; undefined if there is none. */
  readonly at: Date | undefined;
}

/** What an idempotency key leads to. */
export interface KeyHolder {
  readonly paymentId: string;
  /** Undefined if the key was claimed by this very transaction, which has recorded no payment yet. */
  readonly payment: Payment | undefined;
}

/** What a batch of decided payments changes. */
export interface LedgerChanges {
  /** When they were decided: the createdAt of everything below. */
  readonly at: Date;
  /** In the order in which they were decided. */
  readonly decided: readonly DecidedPayment[];
  /** The changed balances, once each, as the last payment left them. */
  readonly balances: readonly Balance[];
}

/** A payment and what is written with it. */
export interface DecidedPayment {
  readonly payment: Payment;
  /** Undefined if it was declined. */
  readonly entries: { readonly debit: LedgerEntry; readonly credit: LedgerEntry } | undefined;
  readonly event: PaymentEvent;
  /** W3C trace context, for the event. */
  readonly traceparent: string | undefined;
}

/** Reads outside a transaction. Throw ServiceError: UNAVAILABLE if Postgres is unreachable, OVERLOADED if no connection is free. */
export interface Ledger {
  findPayment(paymentId: string): Promise<Payment | undefined>;
  findPaymentByKey(key: CallerKey): Promise<Payment | undefined>;
  findAccount(accountId: string): Promise<Account | undefined>;
  findBalance(accountId: string): Promise<Balance | undefined>;
  findAccountType(accountId: string): Promise<AccountType | undefined>;
}

/** Token buckets, one for each payer, or for each caller. Never fails: it falls back to a bucket of its own. */
export interface RateLimiter {
  /** Takes one token. Returns the milliseconds until there is one again, 0 if it got one. */
  take(payerAccountId: string): Promise<number>;
}

/** Tells the relay that events were committed. Fire and forget: the relay polls as well. */
export interface OutboxHint {
  committed(): void;
}
