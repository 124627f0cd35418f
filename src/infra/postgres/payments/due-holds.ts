import type { DueCursor, DueHolds } from '../../../app/ports.ts';
import { type Connection, prepared } from '../statement.ts';
import { ACTION_COLUMNS, type ActionRow, BALANCE_COLUMNS, type BalanceColumns, toCurrentPayment } from './rows.ts';

type Row = { due_id: string; due_at: string; payment_id: string | null } & (ActionRow & BalanceColumns);

const select = prepared<Row>(
  'due_holds',
  // Locks nothing: whoever decides on them locks them first, and looks again. Not by
  // clock_timestamp(), which no index can be searched for: every open hold would be read.
  // A row without its payment, which reconciliation tells of, must not end the list.
  `select balance.payment_id as due_id, balance.expires_at::text as due_at, ${ACTION_COLUMNS}, ${BALANCE_COLUMNS}
   from (
     select * from payment_balances
     where open and expires_at <= statement_timestamp()
       and (expires_at, payment_id) > ($2::timestamptz, $3::uuid) and (expires_at, payment_id) <= ($4::timestamptz, $5::uuid)
     order by expires_at, payment_id limit $1
   ) balance
   left join payments on payments.payment_id = balance.payment_id
   order by balance.expires_at, balance.payment_id`,
);

const FIRST: DueCursor = { expiresAt: '-infinity', uuid: '00000000-0000-0000-0000-000000000000' };
const LAST: DueCursor = { expiresAt: 'infinity', uuid: 'ffffffff-ffff-ffff-ffff-ffffffffffff' };

/** See Ledger.dueHolds. */
export async function findDueHolds(
  connection: Connection,
  limit: number,
  after: DueCursor = FIRST,
  upTo: DueCursor = LAST,
): Promise<DueHolds> {
  const { rows } = await select(connection, [limit, after.expiresAt, after.uuid, upTo.expiresAt, upTo.uuid]);
  const last = rows.at(-1);
  return {
    holds: rows.flatMap((row) => (row.payment_id === null ? [] : toCurrentPayment(row))),
    last: last && { expiresAt: last.due_at, uuid: last.due_id },
    more: rows.length === limit,
  };
}
