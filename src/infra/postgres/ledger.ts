import type pg from 'pg';
import { TransientError, unavailable } from '../../app/errors.ts';
import type { Ledger } from '../../app/ports.ts';
import { kyselyOn } from './database.ts';
import { classify } from './errors.ts';
import { openAccount } from './repositories/accounts.ts';
import { findBalance } from './repositories/balances.ts';
import { findPayment } from './repositories/payments.ts';

/** Reads and account opening, each statement a transaction of its own. */
export function postgresLedger(pool: pg.Pool): Ledger {
  const database = kyselyOn(pool);
  return {
    findPayment: (paymentId) => run(() => findPayment(pool, paymentId)),
    findBalance: (accountId) => run(() => findBalance(pool, accountId)),
    openAccount: (account) => run(() => openAccount(database, account)),
  };
}

async function run<T>(query: () => Promise<T>): Promise<T> {
  try {
    return await query();
  } catch (error) {
    const failure = classify(error);
    throw failure instanceof TransientError ? unavailable('The database cannot be reached.', failure) : failure;
  }
}
