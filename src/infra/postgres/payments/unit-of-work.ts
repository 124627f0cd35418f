import type pg from 'pg';
import type { Balance } from '../../../app/domain/account.ts';
import { unavailable } from '../../../app/errors.ts';
import type {
  AuthorizeCommand,
  Decision,
  KeyHolder,
  LedgerChanges,
  LedgerTransaction,
  UnitOfWork,
} from '../../../app/ports.ts';
import { classify, isOutOfService } from '../errors.ts';
import type { Transaction } from '../statement.ts';
import { claimKeys, findKeyHolders, TRANSACTION_MARK } from './claim-keys.ts';
import { findLocked, lockBalances } from './lock-balances.ts';
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

  /** shards yields how many shards the outbox has. */
  constructor(pool: pg.Pool, shards: () => Promise<number>) {
    this.#pool = pool;
    this.#shards = shards;
  }

  async run<T>(work: (transaction: LedgerTransaction) => Promise<Decision<T>>): Promise<T> {
    const { client, shards } = await this.#connect();
    let broken: Error | undefined;
    // Without a listener a connection that breaks between two queries would end the process.
    const onError = (error: Error) => {
      broken = error;
    };
    client.on('error', onError);
    try {
      // Not awaited: it travels together with the statements that follow.
      const begun = client.query(BEGIN);
      begun.catch(() => {
        // Awaited below. Should it fail alone, claimKeys finds no mark and claims nothing.
      });
      const transaction = client as pg.PoolClient & Transaction;
      const { result, changes } = await work(new PostgresTransaction(transaction));
      // Nothing is written unless there is a transaction to write it in.
      await begun;
      await writeAndCommit(transaction, changes, shards);
      return result;
    } catch (error) {
      if (isOutOfService(error)) broken = error as Error;
      await client.query('rollback').catch((failure: Error) => {
        broken ??= failure;
      });
      throw classify(error);
    } finally {
      client.off('error', onError);
      client.release(broken);
    }
  }

  async lockedAccounts(accountIds: readonly string[]): Promise<ReadonlySet<string>> {
    try {
      return await findLocked(this.#pool, accountIds);
    } catch (error) {
      throw unavailable('The database cannot be reached.', error);
    }
  }

  async #connect(): Promise<{ client: pg.PoolClient; shards: number }> {
    try {
      // Counting needs a connection too, and must not wait for one while it keeps another.
      const shards = await this.#shards();
      return { client: await this.#pool.connect(), shards };
    } catch (error) {
      throw unavailable('The database cannot be reached.', error);
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

  lockBalances(accountIds: readonly string[]): Promise<Balance[]> {
    return lockBalances(this.#transaction, accountIds);
  }

  findKeyHolders(commands: readonly AuthorizeCommand[]): Promise<ReadonlyMap<string, KeyHolder>> {
    return findKeyHolders(this.#transaction, commands);
  }
}

/**
 * COMMIT travels right behind the write, so that the locks are not held while this process,
 * which may be busy, takes note of the answer. It comes to nothing if the writing fails.
 */
async function writeAndCommit(
  transaction: Transaction,
  changes: LedgerChanges | undefined,
  shards: number,
): Promise<void> {
  const written = changes && writeChanges(transaction, changes, shards);
  const committed = transaction.query('commit');
  committed.catch(() => {
    // Awaited below, unless the writing has failed already.
  });
  await written;
  const { command } = await committed;
  // Postgres answers COMMIT with ROLLBACK if the transaction had failed.
  if (command !== 'COMMIT') throw new Error(`Bug! COMMIT was answered by ${command}`);
}
