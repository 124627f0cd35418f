import type { Account, AccountType } from '../../../app/domain/account.ts';
import { textArray } from '../array.ts';
import { type Connection, prepared } from '../statement.ts';
import type { AccountRow } from '../tables.ts';

const selectTypes = prepared<{ account_id: string; type: AccountType }>(
  'find_account_types',
  'select account_id, type from accounts where account_id = any($1::text[])',
);

/** The types of those of the accounts that exist, by id. */
export async function findAccountTypes(
  connection: Connection,
  accountIds: readonly string[],
): Promise<ReadonlyMap<string, AccountType>> {
  const { rows } = await selectTypes(connection, [textArray(accountIds)]);
  return new Map(rows.map((row) => [row.account_id, row.type]));
}

const select = prepared<AccountRow>(
  'find_accounts',
  'select account_id, currency, type, overdraft_limit_cents, opened_at from accounts where account_id = any($1::text[])',
);

/** Those of the accounts that exist, by id. */
export async function findAccounts(
  connection: Connection,
  accountIds: readonly string[],
): Promise<ReadonlyMap<string, Account>> {
  const { rows } = await select(connection, [textArray(accountIds)]);
  return new Map(rows.map((row) => [row.account_id, toAccount(row)]));
}

export function toAccount(row: AccountRow): Account {
  return {
    accountId: row.account_id,
    currency: row.currency,
    type: row.type,
    overdraftLimitCents: row.overdraft_limit_cents,
    openedAt: row.opened_at,
  };
}
