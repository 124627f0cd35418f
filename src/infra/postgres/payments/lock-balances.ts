import type { Balance } from '../../../app/domain/account.ts';
import type { LockedBalances } from '../../../app/ports.ts';
import { textArray } from '../array.ts';
import { type Connection, prepared, preparedRows, type Transaction } from '../statement.ts';
import type { BalanceRow } from '../tables.ts';

const COLUMNS =
  'account_id, currency, overdraft_limit_cents, available_cents, pending_cents, incoming_cents, version, flags';

type LockedRow = [
  /** Which of the accounts asked for, counted from 1. */
  arrival: number,
  currency: string,
  overdraftLimitCents: bigint | null,
  availableCents: bigint,
  pendingCents: bigint,
  incomingCents: bigint,
  version: bigint,
  flags: number,
  /** Milliseconds since 1970. */
  nowMs: number,
];

const lock = preparedRows<LockedRow>(
  'lock_balances',
  // The rows are locked in the order in which they leave the sort, so two transactions
  // lock common accounts in the same order. Foreign keys need only KEY SHARE, which
  // this leaves free.
  //
  // Where a lock was waited for, Postgres computes the row anew from what it then finds:
  // the time is never before the account's last entry.
  `select arrival::int, currency, overdraft_limit_cents, available_cents, pending_cents, incoming_cents, version, flags,
     date_part('epoch', greatest(clock_timestamp(), last_entry_at)) * 1000
   from unnest($1::text[]) with ordinality as wanted (account_id, arrival)
   join account_balances balance using (account_id)
   order by account_id collate "C"
   for no key update of balance`,
);

// A lone key has a statement of its own, whose plan Postgres keeps: see payments.ts.
const selectOne = prepared<BalanceRow>('find_balance', `select ${COLUMNS} from account_balances where account_id = $1`);

const select = prepared<BalanceRow>(
  'find_balances',
  `select ${COLUMNS} from account_balances where account_id = any($1::text[])`,
);

/** See LedgerTransaction.lockBalances. */
export async function lockBalances(transaction: Transaction, accountIds: readonly string[]): Promise<LockedBalances> {
  const rows = await lock(transaction, [textArray(accountIds)]);
  let latestMs = Number.NEGATIVE_INFINITY;
  const balances = rows.map(
    ([arrival, currency, overdraftLimitCents, availableCents, pendingCents, incomingCents, version, flags, nowMs]) => {
      latestMs = Math.max(latestMs, nowMs);
      return {
        accountId: accountIds[arrival - 1]!,
        currency,
        overdraftLimitCents,
        availableCents,
        pendingCents,
        incomingCents,
        version,
        ...toFlags(flags),
      };
    },
  );
  // Rounded, as the last entry's time has whole milliseconds, and floating point may be just below it.
  return { balances, at: rows.length === 0 ? undefined : new Date(Math.round(latestMs)) };
}

/** Those of the balances that exist, by account id. */
export async function findBalances(
  connection: Connection,
  accountIds: readonly string[],
): Promise<ReadonlyMap<string, Balance>> {
  const { rows } =
    accountIds.length === 1
      ? await selectOne(connection, [accountIds[0]])
      : await select(connection, [textArray(accountIds)]);
  return new Map(rows.map((row) => [row.account_id, toBalance(row)]));
}

function toBalance(row: BalanceRow): Balance {
  return {
    accountId: row.account_id,
    currency: row.currency,
    overdraftLimitCents: row.overdraft_limit_cents,
    availableCents: row.available_cents,
    pendingCents: row.pending_cents,
    incomingCents: row.incoming_cents,
    version: row.version,
    ...toFlags(row.flags),
  };
}

/** What the bits of account_balances.flags stand for. */
export function toFlags(flags: number): Pick<Balance, 'debitsFrozen' | 'creditsFrozen' | 'closed'> {
  return { debitsFrozen: (flags & 1) !== 0, creditsFrozen: (flags & 2) !== 0, closed: (flags & 4) !== 0 };
}
