import type { Kysely } from 'kysely';
import type { Account } from '../../../app/domain/account.ts';
import type { AccountFilter, Page } from '../../../app/listings.ts';
import type { Database } from '../tables.ts';
import { toAccount } from './find-accounts.ts';

/** The most accounts that are looked at for one page. */
const MAX_SCANNED = 2_000;

/** See Listings.accounts. */
export async function listAccounts(
  database: Kysely<Database>,
  { currency, type }: AccountFilter,
  after: string | undefined,
  size: number,
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
    .selectAll()
    .$if(end !== undefined, (query) => query.where('account_id', '<=', end!.account_id))
    .$if(currency !== undefined, (query) => query.where('currency', '=', currency!))
    .$if(type !== undefined, (query) => query.where('type', '=', type!))
    .limit(size + 1)
    .execute();
  const items = rows.slice(0, size).map(toAccount);
  return { items, next: rows.length > size ? items.at(-1)!.accountId : end?.account_id };
}
