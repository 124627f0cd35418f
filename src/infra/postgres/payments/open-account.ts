import type { Kysely } from 'kysely';
import type { Account } from '../../../app/domain/account.ts';
import type { Database } from '../tables.ts';
import { toAccount } from './find-accounts.ts';

/** Opens the account and its balance together, if the id is free; returns the account that has the id. */
export async function openAccount(database: Kysely<Database>, account: Account): Promise<Account> {
  const { accountId, currency, type, overdraftLimitCents, openedAt } = account;
  await database
    .with('opened', (query) =>
      query
        .insertInto('accounts')
        .values({
          account_id: accountId,
          currency,
          type,
          overdraft_limit_cents: overdraftLimitCents,
          opened_at: openedAt,
        })
        .onConflict((conflict) => conflict.doNothing())
        .returning('account_id'),
    )
    .insertInto('account_balances')
    .columns(['account_id'])
    .expression((query) => query.selectFrom('opened').selectAll())
    .execute();

  // Another statement, so that it sees the row of whoever was first.
  const row = await database
    .selectFrom('accounts')
    .selectAll()
    .where('account_id', '=', accountId)
    .executeTakeFirstOrThrow();
  return toAccount(row);
}
