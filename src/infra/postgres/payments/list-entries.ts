import type { Kysely } from 'kysely';
import type { EntryRange, Page, StatementEntry } from '../../../app/listings.ts';
import { uuidToUlid } from '../../../app/ulid.ts';
import type { Connection } from '../statement.ts';
import type { Database } from '../tables.ts';
import { findVersions, max, min } from './versions.ts';

/** See Listings.entries. An account's versions have no gaps, so a page is a range of the primary key. */
export async function listEntries(
  connection: Connection,
  database: Kysely<Database>,
  range: EntryRange,
  from: bigint | undefined,
  size: number,
): Promise<Page<StatementEntry, bigint> | undefined> {
  const { accountId, versionFrom = 0n, versionBefore } = range;
  const inTime = await findVersions(connection, accountId, range);
  if (inTime === undefined) return undefined;
  const first = max(versionFrom, inTime.first);
  const last = versionBefore === undefined ? inTime.last : min(versionBefore - 1n, inTime.last);
  const most = BigInt(size);
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
    // Not a join: for a long page of a small ledger that would read all payments.
    .select((query) =>
      query
        .selectFrom('payments as payment')
        .whereRef('payment.payment_id', '=', 'entry.payment_id')
        .select((of) =>
          of
            .case()
            .when('entry.direction', '=', 'DEBIT')
            .then(of.ref('payment.payee_account_id'))
            .else(of.ref('payment.payer_account_id'))
            .end()
            .as('counterparty_account_id'),
        )
        .as('counterparty_account_id'),
    )
    .execute();
  return rows.map((row) => ({
    accountId,
    version: row.version,
    paymentId: uuidToUlid(row.payment_id),
    direction: row.direction,
    amountCents: row.amount_cents,
    balanceAfterCents: row.balance_after_cents,
    createdAt: row.created_at,
    // Null only in books that reconciliation complains of.
    counterpartyAccountId: row.counterparty_account_id ?? '',
  }));
}
