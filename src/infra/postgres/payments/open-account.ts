import type { AccountLedger, RecordedChange } from '../../../app/account-changes.ts';
import { type Connection, prepared } from '../statement.ts';
import type { AccountRow } from '../tables.ts';
import { CHANGE_COLUMNS, changeValues, EVENT_COLUMNS, FIRST_FREE } from './account-change-row.ts';
import { findAccounts } from './find-accounts.ts';

const TYPE = `$${FIRST_FREE}::account_type`;

const insert = prepared(
  'open_account',
  `with given as (
     select $2::text as account_id, $3::text as currency, ${TYPE} as type, $5::bigint as overdraft_limit_cents,
       $11::timestamptz as opened_at
   ), opened as (
     insert into accounts (account_id, currency, type, overdraft_limit_cents, opened_at)
     select account_id, currency, type, overdraft_limit_cents, opened_at from given
     on conflict do nothing returning 1
   ), balance as (
     insert into account_balances (account_id) select account_id from given where exists (select from opened) returning 1
   ), changed as (
     insert into account_changes (${CHANGE_COLUMNS.names}) select ${CHANGE_COLUMNS.values} from balance returning 1
   )
   insert into outbox (${EVENT_COLUMNS.names}) select ${EVENT_COLUMNS.values} from changed`,
);

const selectOpening = prepared<AccountRow>(
  'find_opening',
  'select account_id, currency, type, overdraft_limit_cents, opened_at from accounts where account_id = $1',
);

/** See AccountLedger.open. Account, balance, change and event are one statement, and so one transaction. */
export async function openAccount(
  connection: Connection,
  recorded: RecordedChange,
  shards: number,
): ReturnType<AccountLedger['open']> {
  const { accountId, type } = recorded.change.account;
  const { rowCount } = await insert(connection, [...changeValues(recorded, shards), type]);
  // Other statements, so that they see the rows of whoever was first.
  const { rows } = await selectOpening(connection, [accountId]);
  const account = (await findAccounts(connection, [accountId])).get(accountId);
  const [row] = rows;
  if (account === undefined || row === undefined)
    throw new Error(`Bug! Account ${accountId} was opened and is not there`);
  const { currency, overdraft_limit_cents: overdraftLimitCents, opened_at: openedAt } = row;
  return {
    opened: rowCount === 1,
    asOpened: { accountId, currency, type: row.type, overdraftLimitCents, openedAt },
    account,
  };
}
