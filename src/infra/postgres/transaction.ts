import type pg from 'pg';
import { isOutOfService } from './errors.ts';
import type { Transaction } from './statement.ts';

/**
 * Runs work in a transaction on a connection of its own, and commits. begin is BEGIN, and
 * may set more for the transaction.
 *
 * last is the last statement, made from work's result. Where it is given nothing waits
 * for an answer that it does not need: BEGIN travels together with work's first
 * statements, which must come to nothing should it fail, and COMMIT right behind the last
 * one, so that locks are not kept while this process, which may be busy, takes note of an
 * answer. The values of the last statement must be texts: one that pg cannot send would
 * not keep COMMIT from taking hold.
 *
 * Rolls back if anything fails, and throws what failed. A connection that broke, whose
 * server is out of service or that cannot roll back is not given back to the pool.
 */
export async function inTransaction<T>(
  pool: Pick<pg.Pool, 'connect'>,
  begin: string,
  work: (transaction: Transaction) => Promise<T>,
  last?: (transaction: Transaction, result: T) => Promise<unknown> | undefined,
): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  // Without a listener a connection that breaks between two queries would end the process.
  const onError = (error: Error) => {
    broken = error;
  };
  client.on('error', onError);
  try {
    const begun = client.query(begin);
    begun.catch(() => {
      // Awaited below, unless work has failed already.
    });
    if (last === undefined) await begun;
    const transaction = client as pg.PoolClient & Transaction;
    const result = await work(transaction);
    // The last statement and COMMIT are not sent unless there is a transaction.
    await begun;
    await finish(transaction, last?.(transaction, result));
    return result;
  } catch (error) {
    if (isOutOfService(error)) broken = error as Error;
    await client.query('rollback').catch((failure: Error) => {
      broken ??= failure;
    });
    throw error;
  } finally {
    client.off('error', onError);
    client.release(broken);
  }
}

/**
 * Nothing may end a COMMIT: one that waits for a standby would be cut short and answered
 * as if the standby had it.
 */
const COMMIT = 'set local statement_timeout = 0; commit';

/** If the last statement fails, so has the transaction, and COMMIT comes to nothing. */
async function finish(transaction: Transaction, last: Promise<unknown> | undefined): Promise<void> {
  // Several statements, several results, which the types of pg do not know.
  const committed = transaction.query(COMMIT) as Promise<unknown> as Promise<readonly pg.QueryResult[]>;
  committed.catch(() => {
    // Awaited below, unless the last statement has failed already.
  });
  await last;
  const command = (await committed).at(-1)?.command;
  // Postgres answers COMMIT with ROLLBACK if the transaction had failed.
  if (command !== 'COMMIT') throw new Error(`Bug! COMMIT was answered by ${command}`);
}
