import type pg from 'pg';
import type { Listings } from '../../../app/listings.ts';
import { kyselyOn } from '../database.ts';
import { listAccounts } from './list-accounts.ts';
import { listActions } from './list-actions.ts';
import { listEntries } from './list-entries.ts';
import { listPayments } from './list-payments.ts';
import { MAX_PAGE_BYTES } from './page-bytes.ts';
import { reading } from './reading.ts';
import { findSnapshot } from './snapshot.ts';

/** Of an answer beside its items: the token of the next page. */
const TOKEN_BYTES = 500;

/**
 * Reads with optional filters, whose statements kysely puts together. A page fits into an answer of so many bytes,
 * unless its only item does not.
 */
export function postgresListings(pool: pg.Pool, maxResponseBytes = Number.POSITIVE_INFINITY): Listings {
  const database = kyselyOn(pool);
  const pageBytes = Math.min(MAX_PAGE_BYTES, maxResponseBytes - TOKEN_BYTES);
  return {
    payments: (filter, cursor, size) =>
      reading(() => listPayments(pool, database, filter, cursor, { size, pageBytes })),
    actions: (paymentId, after, size) => reading(() => listActions(pool, paymentId, after, { size, pageBytes })),
    accounts: (filter, after, size) => reading(() => listAccounts(pool, database, filter, after, { size, pageBytes })),
    entries: (range, from, size) => reading(() => listEntries(pool, database, range, from, { size, pageBytes })),
    snapshot: (accountId, point) => reading(() => findSnapshot(pool, accountId, point)),
  };
}
