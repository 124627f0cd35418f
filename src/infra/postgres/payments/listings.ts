import type pg from 'pg';
import type { Listings } from '../../../app/listings.ts';
import { kyselyOn } from '../database.ts';
import { listAccounts } from './list-accounts.ts';
import { listActions } from './list-actions.ts';
import { listEntries } from './list-entries.ts';
import { listPayments } from './list-payments.ts';
import { reading } from './reading.ts';
import { findSnapshot } from './snapshot.ts';

/** Reads with optional filters, whose statements kysely puts together. */
export function postgresListings(pool: pg.Pool): Listings {
  const database = kyselyOn(pool);
  return {
    payments: (filter, cursor, size) => reading(() => listPayments(pool, database, filter, cursor, size)),
    actions: (paymentId, after, size) => reading(() => listActions(database, paymentId, after, size)),
    accounts: (filter, after, size) => reading(() => listAccounts(pool, database, filter, after, size)),
    entries: (range, from, size) => reading(() => listEntries(pool, database, range, from, size)),
    snapshot: (accountId, point) => reading(() => findSnapshot(pool, accountId, point)),
  };
}
