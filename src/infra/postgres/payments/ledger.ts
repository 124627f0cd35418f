import type pg from 'pg';
import { TransientError, unavailable } from '../../../app/errors.ts';
import type { Ledger } from '../../../app/ports.ts';
import { ulidToUuid } from '../../ulid.ts';
import { kyselyOn } from '../database.ts';
import { classify } from '../errors.ts';
import { findPayments } from './find-payments.ts';
import { findBalances } from './lock-balances.ts';
import { openAccount } from './open-account.ts';
import { SharedReads } from './shared-reads.ts';

/** Reads, which share statements, and account opening; each statement is a transaction of its own. */
export function postgresLedger(pool: pg.Pool): Ledger {
  const database = kyselyOn(pool);
  const payments = new SharedReads((uuids) => findPayments(pool, uuids));
  const balances = new SharedReads((accountIds) => findBalances(pool, accountIds));
  return {
    findPayment: (paymentId) => run(() => payments.get(ulidToUuid(paymentId))),
    findBalance: (accountId) => run(() => balances.get(accountId)),
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
