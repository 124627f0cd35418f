import type pg from 'pg';
import { keyOf } from '../../../app/commands.ts';
import type { Ledger } from '../../../app/ports.ts';
import { ulidToUuid } from '../../../app/ulid.ts';
import { findDueHolds } from './due-holds.ts';
import { findAccounts, findAccountTypes } from './find-accounts.ts';
import { findBatch } from './find-batch.ts';
import { findFirstActions, findPayments, findPaymentsByKey } from './find-payments.ts';
import { findBalances } from './lock-balances.ts';
import { reading } from './reading.ts';
import { sharedReads } from './shared-reads.ts';

/** Reads, which share statements; each statement is a transaction of its own. */
export function postgresLedger(pool: pg.Pool): Ledger {
  const payment = sharedReads((uuids) => findPayments(pool, uuids));
  const firstAction = sharedReads((uuids) => findFirstActions(pool, uuids));
  const paymentByKey = sharedReads((keys) => findPaymentsByKey(pool, keys), keyOf);
  const account = sharedReads((accountIds) => findAccounts(pool, accountIds));
  const balance = sharedReads((accountIds) => findBalances(pool, accountIds));
  const accountType = sharedReads((accountIds) => findAccountTypes(pool, accountIds));
  return {
    findPayment: (paymentId) => reading(() => payment(ulidToUuid(paymentId))),
    findFirstAction: (paymentId) => reading(() => firstAction(ulidToUuid(paymentId))),
    findPaymentByKey: (key) => reading(() => paymentByKey(key)),
    dueHolds: (limit, after, upTo) => reading(() => findDueHolds(pool, limit, after, upTo)),
    findAccount: (accountId) => reading(() => account(accountId)),
    findBalance: (accountId) => reading(() => balance(accountId)),
    findAccountType: (accountId) => reading(() => accountType(accountId)),
    findBatch: (batchId) => reading(() => findBatch(pool, batchId)),
  };
}
