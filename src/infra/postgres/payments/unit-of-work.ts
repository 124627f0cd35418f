import type pg from 'pg';
import { ContendedError, ServiceError, unavailable } from '../../../app/errors.ts';
import type {
  AuthorizeCommand,
  Decision,
  KeyHolder,
  LedgerTransaction,
  LockedBalances,
  LockHolder,
  UnitOfWork,
} from '../../../app/ports.ts';
import { classify } from '../errors.ts';
import type { Transaction } from '../statement.ts';
import { inTransaction } from '../transaction.ts';
import { claimKeys, findKeyHolders, TRANSACTION_MARK } from './claim-keys.ts';
import { findLockHolders, lockBalances } from './lock-balances.ts';
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
  `set local ${TRANSACTION_MARK} = 'open'`,
  'set local plan_cache_mode = force_generic_plan',
].join('; ');

/** Transactions on Postgres, each on a connection of its own. */
export class PostgresUnitOfWork implements UnitOfWork {
  readonly #pool: pg.Pool;
  readonly #shards: () => Promise<number>;
  /** Server processes that run a transaction of this process. */
  readonly #backends = new Set<number>();

  /** shards yields how many shards the outbox has. */
  constructor(pool: pg.Pool, shards: () => Promise<number>) {
    this.#pool = pool;
    this.#shards = shards;
  }

  async run<T>(work: (transaction: LedgerTransaction) => Promise<Decision<T>>, lockWaitMs: number): Promise<T> {
    let backend: number | null = null;
    try {
      // Counting needs a connection too, and must not wait for one while it keeps another.
      const shards = await connecting(this.#shards());
      const { result } = await inTransaction(
        { connect: () => connecting(this.#pool.connect()) },
        `${BEGIN}; set local lock_timeout = ${lockWaitMs}`,
        (transaction) => {
          backend = transaction.processID;
          if (backend !== null) this.#backends.add(backend);
          return work(new PostgresTransaction(transaction));
        },
        (transaction, { changes }) => changes && writeChanges(transaction, changes, shards),
      );
      return result;
    } catch (error) {
      throw classify(error);
    } finally {
      if (backend !== null) this.#backends.delete(backend);
    }
  }

  async lockHolders(accountIds: readonly string[]): Promise<ReadonlyMap<string, LockHolder>> {
    try {
      return await findLockHolders(this.#pool, accountIds, [...this.#backends]);
    } catch (error) {
      const failure = classify(error);
      if (failure instanceof ContendedError) throw unavailable('All balances are locked.', error);
      throw failure instanceof ServiceError ? failure : unavailable('The database cannot be reached.', error);
    }
  }
}

class PostgresTransaction implements LedgerTransaction {
  readonly #transaction: Transaction;

  constructor(transaction: Transaction) {
    this.#transaction = transaction;
  }

  claimKeys(commands: readonly AuthorizeCommand[], now: Date): Promise<number> {
    return claimKeys(this.#transaction, commands, now);
  }

  lockBalances(accountIds: readonly string[]): Promise<LockedBalances> {
    return lockBalances(this.#transaction, accountIds);
  }

  findKeyHolders(commands: readonly AuthorizeCommand[]): Promise<ReadonlyMap<string, KeyHolder>> {
    return findKeyHolders(this.#transaction, commands);
  }
}

/** Without a connection there is nothing to run again: callers are told at once. */
async function connecting<T>(attempt: Promise<T>): Promise<T> {
  try {
    return await attempt;
  } catch (error) {
    const failure = classify(error);
    throw failure instanceof ServiceError ? failure : unavailable('The database cannot be reached.', error);
  }
}
