import type { AccountType } from '../../../app/domain/account.ts';
import { textArray } from '../array.ts';
import { type Connection, prepared } from '../statement.ts';

const select = prepared<{ account_id: string; type: AccountType }>(
  'find_account_types',
  'select account_id, type from accounts where account_id = any($1::text[])',
);

/** The types of those of the accounts that exist, by id. */
export async function findAccountTypes(
  connection: Connection,
  accountIds: readonly string[],
): Promise<ReadonlyMap<string, AccountType>> {
  const { rows } = await select(connection, [textArray(accountIds)]);
  return new Map(rows.map((row) => [row.account_id, row.type]));
}
