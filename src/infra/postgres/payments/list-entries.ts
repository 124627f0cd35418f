import type { Kysely } from 'kysely';
import type { EntryRange, Page, StatementEntry } from '../../../app/listings.ts';
import { uuidToUlid } from '../../../app/ulid.ts';
import type { Connection } from '../statement.ts';
import type { Database } from '../tables.ts';
import { LARGEST_ENTRY_BYTES, type PageLimits } from './page-bytes.ts';
import { findVersions, max, min } from './versions.ts';

/** See Listings.entries. An account's versions have no gaps, so a page is a range of the primary key. */
export async function listEntries(
  connection: Connection,
  database: Kysely<Database>,
  range: EntryRange,
  from: bigint | undefined,
  { size, pageBytes }: PageLimits,
): Promise<Page<StatementEntry, bigint> | undefined> {
  const { accountId, versionFrom = 0n, versionBefore } = range;
  const inTime = await findVersions(connection, accountId, range);
  if (inTime === undefined) return undefined;
  const first = max(versionFrom, inTime.first);
  const last = versionBefore === undefined ? inTime.last : min(versionBefore - 1n, inTime.last);
  const most = BigInt(Math.min(size, Math.floor(pageBytes / LARGEST_ENTRY_BYTES)));
  if (range.order === 'OLDEST_FIRST') {
    const low = max(first, from ?? first);
    const high = min(last, low + most - 1n);
    const items = await entriesBetween(database, accountId, low, high);
    return { items, next: high < last ? high + 1n : undefined };
  }
  const high = min(last, from ?? last);
  const low = max(first, high - most + 1n);
  const items = await entriesBetween(database, accountId, low, high);
  return { items: items.reverse(), next: low > first && high >= first ? low - 1n : undefined };
}

/** The oldest first. */
async function entriesBetween(
  database: Kysely<Database>,
  accountId: string,
  low: bigint,
  high: bigint,
): Promise<StatementEntry[]> {
  if (low > high) return [];
  const rows = await database
    .selectFrom('ledger_entries as entry')
    .where('entry.account_id', '=', accountId)
    .where('entry.version', '>=', low)
    .where('entry.version', '<=', high)
    .orderBy('entry.version')
    .selectAll('entry')
    // Limited, so that each is looked up: for a long page of a small ledger a plain join would read all payments.
    .leftJoinLateral(
      (query) =>
        query
          .selectFrom('payments')
          .whereRef('payments.payment_id', '=', 'entry.payment_id')
          .select(['payer_account_id', 'payee_account_id', 'parent_id'])
          .limit(1)
          .as('action'),
      (join) => join.onTrue(),
    )
    .select(['action.payer_account_id', 'action.payee_account_id', 'action.parent_id'])
    .execute();
  return rows.map((row) => ({
    accountId,
    version: row.version,
    actionId: uuidToUlid(row.payment_id),
    paymentId: uuidToUlid(row.parent_id ?? row.payment_id),
    direction: row.direction,
    amountCents: row.amount_cents,
    releasedCents: row.released_cents ?? undefined,
    balanceAfterCents: row.balance_after_cents,
    pendingAfterCents: row.pending_after_cents ?? 0n,
    createdAt: row.created_at,
    // Null only in books that reconciliation complains of.
    counterpartyAccountId: (row.payer_account_id === accountId ? row.payee_account_id : row.payer_account_id) ?? '',
  }));
}
