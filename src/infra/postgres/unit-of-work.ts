import type pg from 'pg';
import type { Balance } from '../../app/domain/account.ts';
import type { Payment } from '../../app/domain/payment.ts';
import { unavailable } from '../../app/errors.ts';
import type { AuthorizeCommand, LedgerChanges, LedgerTransaction, UnitOfWork } from '../../app/ports.ts';
import { classify } from './errors.ts';
import { lockBalances } from './repositories/balances.ts';
import { writeChanges } from './repositories/changes.ts';
import { claimKeys, findByKey } from './repositories/idempotency.ts';
import type { Connection } from './statement.ts';

/**
 * READ COMMITTED, whatever the server's default: rows are locked before they are
 * read, and a key that another transaction has just committed must be visible to
 * the next statement. No payment takes seconds: one that does waits for a lock
 * whose owner is stuck, and its caller is better told.
 */
const BEGIN = `begin isolation level read committed; set local statement_timeout = '5s'; set local lock_timeout = '3s'`;

/** Transactions on Postgres, each on a connection of its own. */
export class PostgresUnitOfWork implements UnitOfWork {
  readonly #pool: pg.Pool;
  readonly #shards: () => Promise<number>;

  /** shards yields how many shards the outbox has. */
  constructor(pool: pg.Pool, shards: () => Promise<number>) {
    this.#pool = pool;
    this.#shards = shards;
  }

  async run<T>(work: (transaction: LedgerTransaction) => Promise<T>): Promise<T> {
    const client = await this.#connect();
    let broken: Error | undefined;
    // Without a listener a connection that breaks between two queries would end the process.
    const onError = (error: Error) => {
      broken = error;
    };
    client.on('error', onError);
    try {
      const shards = await this.#shards();
      const result = await work(new PostgresTransaction(client, shards));
      const { command } = await client.query('commit');
      // Postgres answers COMMIT with ROLLBACK if the transaction had failed.
      if (command !== 'COMMIT') throw new Error(`Bug! COMMIT was answered by ${command}`);
      return result;
    } catch (error) {
      await client.query('rollback').catch((failure: Error) => {
        broken ??= failure;
      });
      throw classify(error);
    } finally {
      client.off('error', onError);
      client.release(broken);
    }
  }

  async #connect(): Promise<pg.PoolClient> {
    try {
      return await this.#pool.connect();
    } catch (error) {
      throw unavailable('The database cannot be reached.', error);
    }
  }
}

class PostgresTransaction implements LedgerTransaction {
  readonly #client: Connection;
  readonly #shards: number;
  readonly #begun: Promise<unknown>;

  constructor(client: Connection, shards: number) {
    this.#client = client;
    this.#shards = shards;
    // Not awaited: it travels together with the statements that follow.
    this.#begun = client.query(BEGIN);
    this.#begun.catch(() => {
      // record() awaits it and hears of the failure; a transaction without record() wrote nothing.
    });
  }

  claimKeys(commands: readonly AuthorizeCommand[], now: Date): Promise<ReadonlySet<string>> {
    return claimKeys(this.#client, commands, now);
  }

  lockBalances(accountIds: readonly string[]): Promise<Balance[]> {
    return lockBalances(this.#client, accountIds);
  }

  findByKey(commands: readonly AuthorizeCommand[]): Promise<ReadonlyMap<string, Payment>> {
    return findByKey(this.#client, commands);
  }

  async record(changes: LedgerChanges): Promise<void> {
    // Nothing is written unless there is a transaction to write it in.
    await this.#begun;
    await writeChanges(this.#client, changes, this.#shards);
  }
}
