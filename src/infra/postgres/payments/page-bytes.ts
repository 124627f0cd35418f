import { plainArray, textArray } from '../array.ts';
import { type Connection, prepared } from '../statement.ts';

/** How much goes into one page. */
export interface PageLimits {
  readonly size: number;
  readonly pageBytes: number;
}

/** The most bytes of a page, well below the 4 MB that clients of gRPC receive by default. */
export const MAX_PAGE_BYTES = 2_500_000;

/** What no payment, action or account exceeds: 43 kB of metadata, 4 of description and 1 of reference, in four-byte characters. */
const LARGEST_ITEM_BYTES = 50_000;

/** What no ledger entry exceeds: its account's partner has up to 64 characters, all else is numbers, ids and a time. */
export const LARGEST_ENTRY_BYTES = 500;

/** Of a payment besides the texts of its caller: ids, accounts, amounts, times and the reason of a decline. */
const PAYMENT_BYTES = 1_500;
const ACCOUNT_BYTES = 600;

interface Row {
  fitting: number;
}

// Metadata as JSON is no shorter than in a message: there quotes and commas are tags and lengths.
// The rows are looked up one by one, as in rows.ts.
const countPayments = prepared<Row>(
  'count_fitting_payments',
  `select count(*)::int as fitting
   from (
     select sum(${PAYMENT_BYTES} + coalesce(octet_length(description) + coalesce(octet_length(reference), 0)
       + coalesce(octet_length(metadata::text), 0), 0)) over (order by n) as bytes
     from unnest($1::uuid[]) with ordinality as wanted (id, n)
     left join lateral (
       select description, reference, metadata from payments where payment_id = wanted.id limit 1
     ) payment on true
   ) page
   where bytes <= $2`,
);

const countAccounts = prepared<Row>(
  'count_fitting_accounts',
  `select count(*)::int as fitting
   from (
     select sum(${ACCOUNT_BYTES} + coalesce(octet_length(metadata::text), 0)) over (order by n) as bytes
     from unnest($1::text[]) with ordinality as wanted (id, n)
     left join lateral (
       select metadata from account_changes where account_id = wanted.id order by revision desc limit 1
     ) last on true
   ) page
   where bytes <= $2`,
);

/** The first of the payments, or actions on them, that are a page of at most so many bytes; but one in any case. */
export function fittingPayments(
  connection: Connection,
  uuids: readonly string[],
  maxBytes: number,
): Promise<readonly string[]> {
  return fitting(uuids, maxBytes, () => countPayments(connection, [plainArray(uuids), maxBytes]));
}

/** Likewise of accounts. */
export function fittingAccounts(
  connection: Connection,
  accountIds: readonly string[],
  maxBytes: number,
): Promise<readonly string[]> {
  return fitting(accountIds, maxBytes, () => countAccounts(connection, [textArray(accountIds), maxBytes]));
}

/** Postgres is asked only where there are so many that their sizes matter. */
async function fitting(
  ids: readonly string[],
  maxBytes: number,
  count: () => Promise<{ rows: Row[] }>,
): Promise<readonly string[]> {
  if (ids.length * LARGEST_ITEM_BYTES <= maxBytes) return ids;
  const { rows } = await count();
  // Without one, nobody would get past an item that is too large by itself.
  return ids.slice(0, Math.max(1, rows[0]!.fitting));
}
