import type { Kysely } from 'kysely';
import type pg from 'pg';
import type { Account } from '../../../app/domain/account.ts';
import type { AccountFilter, Page } from '../../../app/listings.ts';
import type { Database } from '../tables.ts';
import { findAccounts } from './find-accounts.ts';
import { fittingAccounts, type PageLimits } from './page-bytes.ts';

/** The most accounts that are looked at for one page. */
const MAX_SCANNED = 2_000;

/** See Listings.accounts. */
export async function listAccounts(
  pool: pg.Pool,
  database: Kysely<Database>,
  { currency, type }: AccountFilter,
  after: string | undefined,
  { size, pageBytes }: PageLimits,
): Promise<Page<Account, string>> {
  const rest = database
    .selectFrom('accounts')
    .orderBy('account_id')
    .$if(after !== undefined, (query) => query.where('account_id', '>', after!));
  const filtered = currency !== undefined || type !== undefined;
  // The end is looked for first: an account that is opened meanwhile is before it or after it.
  const end = filtered
    ? await rest
        .select('account_id')
        .offset(MAX_SCANNED - 1)
        .limit(1)
        .executeTakeFirst()
    : undefined;
  const rows = await rest
    .select('account_id')
    .$if(end !== undefined, (query) => query.where('account_id', '<=', end!.account_id))
    .$if(currency !== undefined, (query) => query.where('currency', '=', currency!))
    .$if(type !== undefined, (query) => query.where('type', '=', type!))
    .limit(size + 1)
    .execute();
  const listed = rows.slice(0, size).map((row) => row.account_id);
  const accountIds = await fittingAccounts(pool, listed, pageBytes);
  const found = await findAccounts(pool, accountIds);
  const items = accountIds.flatMap((accountId) => found.get(accountId) ?? []);
  return { items, next: rows.length > accountIds.length ? accountIds.at(-1) : end?.account_id };
}
