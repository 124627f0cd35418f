import type pg from 'pg';
import { ContendedError, databaseUnavailable, TransientError, unavailable } from '../../../app/errors.ts';
import type { Ledger } from '../../../app/ports.ts';
import { ulidToUuid } from '../../../app/ulid.ts';
import { kyselyOn } from '../database.ts';
import { classify } from '../errors.ts';
import { findAccountTypes } from './find-account-types.ts';
import { findPayments } from './find-payments.ts';
import { findBalances } from './lock-balances.ts';
import { openAccount } from './open-account.ts';
import { sharedReads } from './shared-reads.ts';

/** Reads, which share statements, and account opening; each statement is a transaction of its own. */
export function postgresLedger(pool: pg.Pool): Ledger {
  const database = kyselyOn(pool);
  const payment = sharedReads((uuids) => findPayments(pool, uuids));
  const balance = sharedReads((accountIds) => findBalances(pool, accountIds));
  const accountType = sharedReads((accountIds) => findAccountTypes(pool, accountIds));
  return {
    findPayment: (paymentId) => run(() => payment(ulidToUuid(paymentId))),
    findBalance: (accountId) => run(() => balance(accountId)),
    findAccountType: (accountId) => run(() => accountType(accountId)),
    openAccount: (account) => run(() => openAccount(database, account)),
  };
}

async function run<T>(query: () => Promise<T>): Promise<T> {
  try {
    return await query();
  } catch (error) {
    const failure = classify(error);
    if (failure instanceof TransientError) throw databaseUnavailable('The database cannot be reached.', failure);
    if (failure instanceof ContendedError) throw unavailable('The account is locked by another transaction.', failure);
    throw failure;
  }
}
