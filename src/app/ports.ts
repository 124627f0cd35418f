import type { CallerKey, KeyedCommand } from './commands.ts';
import type { BatchedAction } from './decide-batch.ts';
import type { Account, AccountType, Balance } from './domain/account.ts';
import type { PaymentEvent } from './domain/event.ts';
import type { LedgerEntry } from './domain/ledger.ts';
import type { Action, Payment } from './domain/payment.ts';
import type { CurrentPayment, PaymentBalance } from './domain/payment-balance.ts';

/** One transaction over the whole ledger: everything in it commits together or not at all. */
export interface UnitOfWork {
  /**
   * Runs work in a transaction, writes the changes it returns and commits. Changes are actions, ledger entries,
   * balances and outbox; work must have locked the balances. Returns work's result.
   *
   * Throws TransientError if the transaction may be run again (serialization
   * failure, deadlock, connection lost, also after COMMIT was sent: the commands'
   * action ids tell whether it took hold); ContendedError if one of its locks was not
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

/** A lock that a command needs: an account's, a payment's, or that of an idempotency key. */
export type Lock = { readonly name: string } & (
  | { readonly accountId: string }
  | { readonly paymentId: string }
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
  claimKeys(commands: readonly KeyedCommand[], now: Date): Promise<number>;
  /**
   * Locks until commit what changes of the payments, in id order, by payment id. A payment that was never held and
   * never refunded has nothing to lock, and is left out, unless it is among those that begin to have it now.
   */
  lockPayments(
    paymentIds: readonly string[],
    beginning: readonly string[],
  ): Promise<ReadonlyMap<string, PaymentBalance>>;
  /** Locks the accounts' balances until commit, in id order; accounts that do not exist are left out. */
  lockBalances(accountIds: readonly string[]): Promise<LockedBalances>;
  /** Who holds the commands' keys, by keyOf(command). */
  findKeyHolders(commands: readonly KeyedCommand[]): Promise<ReadonlyMap<string, KeyHolder>>;
}

export interface LockedBalances {
  readonly balances: readonly Balance[];
  /** The time by the ledger's one clock, and not before the last entry of any of the accounts; undefined if there is none. */
  readonly at: Date | undefined;
}

/** What an idempotency key leads to. */
export interface KeyHolder {
  readonly actionId: string;
  /** Undefined if the key was claimed by this very transaction, which has recorded no action yet. */
  readonly action: Action | undefined;
  /** Of the action's payment, as it is now; undefined if it has none of its own. */
  readonly balance: PaymentBalance | undefined;
}

/** What a batch of decided actions changes. */
export interface LedgerChanges {
  /** When they were decided: the createdAt of everything below. */
  readonly at: Date;
  /** In the order in which they were decided. */
  readonly decided: readonly DecidedAction[];
  /** The changed balances of accounts, once each, as the last action left them. */
  readonly balances: readonly Balance[];
  /** The changed balances of payments, likewise. */
  readonly payments: readonly ChangedPayment[];
}

/** An action and what is written with it. */
export interface DecidedAction {
  readonly action: Action;
  /** Undefined if it was declined. */
  readonly entries: ActionEntries | undefined;
  readonly event: PaymentEvent;
  /** W3C trace context, for the event. */
  readonly traceparent: string | undefined;
}

export interface ActionEntries {
  readonly payer: LedgerEntry;
  /** Undefined if the action leaves what the payee has posted as it was. */
  readonly payee: LedgerEntry | undefined;
}

export interface ChangedPayment {
  readonly payment: Payment;
  readonly balance: PaymentBalance;
  /** Whether it had no balance before. */
  readonly isNew: boolean;
}

/** A payment that was found by a key. */
export interface KeyedPayment extends CurrentPayment {
  /** Whose key it is; undefined if it is that of an action which came alone. */
  readonly keyOfBatch: string | undefined;
}

/** Reads outside a transaction. Throw ServiceError: UNAVAILABLE if Postgres is unreachable, OVERLOADED if no connection is free. */
export interface Ledger {
  findPayment(paymentId: string): Promise<CurrentPayment | undefined>;
  /** What never changes of the payment. */
  findFirstAction(paymentId: string): Promise<Payment | undefined>;
  /** The payment that any of its actions was made on with the key. */
  findPaymentByKey(key: CallerKey): Promise<KeyedPayment | undefined>;
  /** Holds whose time is over and that are still open, the oldest first: after the one place and up to the other, if given. */
  dueHolds(limit: number, after: DueCursor | undefined, upTo: DueCursor | undefined): Promise<DueHolds>;
  findAccount(accountId: string): Promise<Account | undefined>;
  findBalance(accountId: string): Promise<Balance | undefined>;
  findAccountType(accountId: string): Promise<AccountType | undefined>;
  /** What the items of a batch did, in their order; none if it was declined, or if there is no such batch. */
  findBatch(batchId: string): Promise<readonly BatchedAction[]>;
}

/** A place among holds, which are in the order of the end of their time and then of their ids. */
export interface DueCursor {
  /** As Postgres writes it: no part of it is lost. */
  readonly expiresAt: string;
  readonly uuid: string;
}

export interface DueHolds {
  readonly holds: readonly CurrentPayment[];
  /** The last place that was looked at; undefined if there was nothing. */
  readonly last: DueCursor | undefined;
  /** Whether there may be more behind it. */
  readonly more: boolean;
}

/** Token buckets, one for each payer, or for each caller. Never fails: it falls back to a bucket of its own. */
export interface RateLimiter {
  /** Takes one token. Returns the milliseconds until there is one again, 0 if it got one. */
  take(payerAccountId: string): Promise<number>;
}

/** How many tokens of each account's bucket. */
export type Tokens = ReadonlyMap<string, number>;

/** The account whose bucket takes longest to have enough; Infinity if it can never hold so many. */
export interface Shortage {
  readonly accountId: string;
  readonly retryAfterMs: number;
}

/** A limiter of which several tokens can be taken as one. */
export interface BatchRateLimiter extends RateLimiter {
  /** Takes all of the tokens, or none and returns why. Throws ServiceError if it cannot tell whether there ever are so many. */
  takeAll(tokens: Tokens): Promise<Shortage | undefined>;
}

/** Whose tokens can be given back, if others lack. */
export interface TokenBuckets extends BatchRateLimiter {
  giveBack(tokens: Tokens): Promise<void>;
}

/** Tells the relay that events were committed. Fire and forget: the relay polls as well. */
export interface OutboxHint {
  committed(): void;
}
