import type pg from 'pg';
import type { KeyedCommand } from '../../../app/commands.ts';
import type { PaymentBalance } from '../../../app/domain/payment-balance.ts';
import {
  ContendedError,
  databaseUnavailable,
  perhapsCommitted,
  ServiceError,
  unavailable,
} from '../../../app/errors.ts';
import type {
  Decision,
  KeyHolder,
  LedgerTransaction,
  Lock,
  LockedBalances,
  LockHolder,
  TimeLimits,
  UnitOfWork,
} from '../../../app/ports.ts';
import { classify } from '../errors.ts';
import type { Transaction } from '../statement.ts';
import { inTransaction } from '../transaction.ts';
import { claimKeys, findKeyHolders, TRANSACTION_MARK } from './claim-keys.ts';
import { findKeptLocks } from './kept-locks.ts';
import { lockBalances } from './lock-balances.ts';
import { lockPayments } from './lock-payments.ts';
import { writeChanges } from './write-changes.ts';

/**
 * READ COMMITTED, whatever the server's default: rows are locked before they are
 * read, and a key that another transaction has just committed must be visible to
 * the next statement. The mark is what claimKeys looks for.
 *
 * Every statement here looks its rows up by key, so one plan is right for all values.
 * Left to itself Postgres plans small batches anew each time, because for them it
 * expects a cheaper plan: that is the same one, and a third of a lone payment's cost.
 */
const BEGIN = [
  'begin isolation level read committed',
  `set local ${TRANSACTION_MARK.setting} = '${TRANSACTION_MARK.value}'`,
  'set local plan_cache_mode = force_generic_plan',
].join('; ');

/** No row is waited for; a table that is locked as a whole is an answer too. */
const LOOK_AT_LOCKS = 'begin isolation level read committed; set local lock_timeout = 50';

/** The least that a transaction gets: one that is well takes less, however short its callers' time is. */
const LEAST_MS = 100;
/** A lock that is not granted ends its own wait before it ends the statement: see stuck-locks.ts. */
const BEYOND_LOCK_WAIT_MS = 100;
/** With more time left than this, the limit that each connection has from the start is the shorter one. */
const CONNECTION_LIMIT_MS = 5_000;

/** Travels with BEGIN. Each statement gets as long as the last of the callers waits. */
function timeouts({ lockWaitMs, deadlineMs }: TimeLimits): string {
  const leftMs = Math.max(LEAST_MS, Math.ceil(deadlineMs - Date.now()));
  const statementMs = leftMs + BEYOND_LOCK_WAIT_MS;
  const lockTimeout = `set local lock_timeout = ${Math.min(lockWaitMs, leftMs)}`;
  return statementMs >= CONNECTION_LIMIT_MS
    ? lockTimeout
    : `${lockTimeout}; set local statement_timeout = ${statementMs}`;
}

/** Transactions on Postgres, each on a connection of its own. */
export class PostgresUnitOfWork implements UnitOfWork {
  readonly #pool: pg.Pool;
  readonly #shards: () => Promise<number>;
  /** Transactions that run now. */
  readonly #running = new Set<{ serverProcess: number | null }>();

  /** shards yields how many shards the outbox has. */
  constructor(pool: pg.Pool, shards: () => Promise<number>) {
    this.#pool = pool;
    this.#shards = shards;
  }

  async run<T>(work: (transaction: LedgerTransaction) => Promise<Decision<T>>, limits: TimeLimits): Promise<T> {
    const running = { serverProcess: null as number | null };
    this.#running.add(running);
    try {
      // Counting needs a connection too, and must not wait for one while it keeps another.
      const shards = await connecting(this.#shards());
      const { result } = await inTransaction(
        { connect: () => connecting(this.#pool.connect()) },
        `${BEGIN}; ${timeouts(limits)}`,
        (transaction) => {
          running.serverProcess = transaction.processID;
          return work(new PostgresTransaction(transaction));
        },
        (transaction, { changes }) => changes && writeChanges(transaction, changes, shards),
      );
      return result;
    } catch (error) {
      throw classify(error);
    } finally {
      this.#running.delete(running);
    }
  }

  async keptLocks(locks: readonly Lock[]): Promise<ReadonlyMap<string, LockHolder>> {
    const ours = [...this.#running].flatMap(({ serverProcess }) => serverProcess ?? []);
    try {
      return await inTransaction(this.#pool, LOOK_AT_LOCKS, (transaction) => findKeptLocks(transaction, locks, ours));
    } catch (error) {
      const failure = classify(error);
      if (failure instanceof ContendedError) throw unavailable('The ledger is locked by another transaction.', error);
      // A call that waits for its locks may have had an attempt before.
      if (failure instanceof ServiceError) throw perhapsCommitted(failure);
      throw databaseUnavailable('The database cannot be reached.', error);
    }
  }
}

class PostgresTransaction implements LedgerTransaction {
  readonly #transaction: Transaction;

  constructor(transaction: Transaction) {
    this.#transaction = transaction;
  }

  claimKeys(commands: readonly KeyedCommand[], now: Date): Promise<number> {
    return claimKeys(this.#transaction, commands, now);
  }

  lockPayments(
    paymentIds: readonly string[],
    beginning: readonly string[],
  ): Promise<ReadonlyMap<string, PaymentBalance>> {
    return lockPayments(this.#transaction, paymentIds, beginning);
  }

  lockBalances(accountIds: readonly string[]): Promise<LockedBalances> {
    return lockBalances(this.#transaction, accountIds);
  }

  findKeyHolders(commands: readonly KeyedCommand[]): Promise<ReadonlyMap<string, KeyHolder>> {
    return findKeyHolders(this.#transaction, commands);
  }
}

/** Without a connection there is nothing to run again: callers are told at once. */
async function connecting<T>(attempt: Promise<T>): Promise<T> {
  try {
    return await attempt;
  } catch (error) {
    const failure = classify(error);
    throw failure instanceof ServiceError ? failure : databaseUnavailable('The database cannot be reached.', error);
  }
}
