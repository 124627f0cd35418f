import type { Account, AccountType } from '../../../app/domain/account.ts';
import type { Metadata } from '../../../app/domain/payment.ts';
import { textArray } from '../array.ts';
import { type Connection, prepared } from '../statement.ts';
import type { AccountRow } from '../tables.ts';
import { toFlags } from './lock-balances.ts';

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

interface CurrentRow extends AccountRow {
  flags: number;
  revision: bigint;
  metadata: Metadata | null;
  changed_at: Date;
}

const select = prepared<CurrentRow>(
  'find_accounts',
  // What an account was opened as, and its last change, if there is one. The limit and the
  // state are those that payments go by.
  `select account_id, account.currency, account.type, balance.overdraft_limit_cents, account.opened_at, balance.flags,
     coalesce(last.revision, 1) as revision, last.metadata, coalesce(last.created_at, account.opened_at) as changed_at
   from accounts account
   join account_balances balance using (account_id)
   left join lateral (
     select revision, metadata, created_at from account_changes change where change.account_id = account.account_id
     order by revision desc limit 1
   ) last on true
   where account_id = any($1::text[])`,
);

/** Those of the accounts that exist, by id. */
export async function findAccounts(
  connection: Connection,
  accountIds: readonly string[],
): Promise<ReadonlyMap<string, Account>> {
  const { rows } = await select(connection, [textArray(accountIds)]);
  return new Map(rows.map((row) => [row.account_id, toAccount(row)]));
}

function toAccount(row: CurrentRow): Account {
  return {
    accountId: row.account_id,
    currency: row.currency,
    type: row.type,
    overdraftLimitCents: row.overdraft_limit_cents,
    openedAt: row.opened_at,
    ...toFlags(row.flags),
    metadata: row.metadata ?? undefined,
    revision: row.revision,
    changedAt: row.changed_at,
  };
}
