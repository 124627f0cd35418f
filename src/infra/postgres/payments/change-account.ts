import type pg from 'pg';
import type { AccountLedger, LockedAccount, RecordedChange } from '../../../app/account-changes.ts';
import type { AccountChangeKind } from '../../../app/domain/account-change.ts';
import { prepared, type Transaction } from '../statement.ts';
import { inTransaction } from '../transaction.ts';
import { CHANGE_COLUMNS, changeValues, EVENT_COLUMNS } from './account-change-row.ts';
import { findAccounts } from './find-accounts.ts';
import { lockBalances } from './lock-balances.ts';
import { openAccount } from './open-account.ts';
import { reading } from './reading.ts';

/** READ COMMITTED, whatever the server's default: what is read after the lock must be what is there then. */
const BEGIN = 'begin isolation level read committed';

const selectLast = prepared<{ kind: AccountChangeKind; caller: string }>(
  'last_account_change',
  'select kind, caller from account_changes where account_id = $1 order by revision desc limit 1',
);

const write = prepared(
  'change_account',
  // The currency is the opening's alone, and every parameter needs a type.
  `with changed as (
     insert into account_changes (${CHANGE_COLUMNS.names}) select ${CHANGE_COLUMNS.values} where $3::text is not null
     returning 1
   )
   insert into outbox (${EVENT_COLUMNS.names}) select ${EVENT_COLUMNS.values} from changed`,
);

/** Changes of accounts; shards yields how many shards the outbox has. */
export function postgresAccountLedger(pool: pg.Pool, shards: () => Promise<number>): AccountLedger {
  return {
    open: (opening) => reading(async () => openAccount(pool, opening, await shards())),
    change: (accountId, decide) =>
      reading(async () => {
        const count = await shards();
        return inTransaction(
          pool,
          BEGIN,
          async (transaction) => {
            const locked = await lockAccount(transaction, accountId);
            return locked && decide(locked);
          },
          (transaction, decided) => decided?.write && writeChange(transaction, decided.write, count),
        );
      }),
  };
}

/** Locks the balance, as payments do; everything else of the account changes only under that lock. */
async function lockAccount(transaction: Transaction, accountId: string): Promise<LockedAccount | undefined> {
  const [{ balances, at }, accounts, last] = await Promise.all([
    lockBalances(transaction, [accountId]),
    findAccounts(transaction, [accountId]),
    selectLast(transaction, [accountId]),
  ]);
  const account = accounts.get(accountId);
  const [balance] = balances;
  if (account === undefined || balance === undefined || at === undefined) return undefined;
  return { account, balance, last: last.rows[0], at: at < account.changedAt ? account.changedAt : at };
}

function writeChange(transaction: Transaction, recorded: RecordedChange, shards: number): Promise<unknown> {
  return write(transaction, changeValues(recorded, shards));
}
