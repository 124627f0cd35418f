import type { Kysely } from 'kysely';
import type { EntryRange, Page, StatementEntry } from '../../../app/listings.ts';
import { uuidToUlid } from '../../../app/ulid.ts';
import { type Connection, prepared } from '../statement.ts';
import type { Database } from '../tables.ts';

// A microsecond is the least that a timestamp of Postgres can be earlier.
const selectBounds = prepared<{ before_first: bigint; last: bigint }>(
  'entry_bounds',
  `select
     case when $2::timestamptz is null then 0
       else version_at(account_id, $2::timestamptz - interval '1 microsecond', version) end as before_first,
     case when $3::timestamptz is null then version
       else version_at(account_id, $3::timestamptz - interval '1 microsecond', version) end as last
   from account_balances where account_id = $1`,
);

/** See Listings.entries. An account's versions have no gaps, so a page is a range of the primary key. */
export async function listEntries(
  connection: Connection,
  database: Kysely<Database>,
  range: EntryRange,
  from: bigint | undefined,
  size: number,
): Promise<Page<StatementEntry, bigint> | undefined> {
  const { accountId, versionFrom = 0n, versionBefore } = range;
  const { rows } = await selectBounds(connection, [accountId, range.createdFrom ?? null, range.createdBefore ?? null]);
  const [bounds] = rows;
  if (bounds === undefined) return undefined;
  const first = max(versionFrom, bounds.before_first + 1n);
  const last = versionBefore === undefined ? bounds.last : min(versionBefore - 1n, bounds.last);
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
    .innerJoin('payments as payment', 'payment.payment_id', 'entry.payment_id')
    .where('entry.account_id', '=', accountId)
    .where('entry.version', '>=', low)
    .where('entry.version', '<=', high)
    .orderBy('entry.version')
    .selectAll('entry')
    .select(['payment.payer_account_id', 'payment.payee_account_id'])
    .execute();
  return rows.map((row) => ({
    accountId,
    version: row.version,
    paymentId: uuidToUlid(row.payment_id),
    direction: row.direction,
    amountCents: row.amount_cents,
    balanceAfterCents: row.balance_after_cents,
    createdAt: row.created_at,
    counterpartyAccountId: row.direction === 'DEBIT' ? row.payee_account_id : row.payer_account_id,
  }));
}

function min(one: bigint, other: bigint): bigint {
  return one < other ? one : other;
}

function max(one: bigint, other: bigint): bigint {
  return one > other ? one : other;
}
