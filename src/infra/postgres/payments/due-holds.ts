import type { CurrentPayment } from '../../../app/domain/payment-balance.ts';
import { ulidToUuid } from '../../../app/ulid.ts';
import { plainArray } from '../array.ts';
import { type Connection, prepared } from '../statement.ts';
import { ACTION_COLUMNS, type ActionRow, BALANCE_COLUMNS, type BalanceColumns, toCurrentPayment } from './rows.ts';

const select = prepared<ActionRow & BalanceColumns>(
  'due_holds',
  // Locks nothing: whoever decides on them locks them first, and looks again. Not by
  // clock_timestamp(), which no index can be searched for: every open hold would be read.
  `select ${ACTION_COLUMNS}, ${BALANCE_COLUMNS}
   from (
     select * from payment_balances
     where open and expires_at <= statement_timestamp() and payment_id <> all($2::uuid[])
     order by expires_at limit $1
   ) balance
   join payments on payments.payment_id = balance.payment_id`,
);

/** See Ledger.dueHolds. */
export async function findDueHolds(
  connection: Connection,
  limit: number,
  except: readonly string[],
): Promise<CurrentPayment[]> {
  const { rows } = await select(connection, [limit, plainArray(except.map(ulidToUuid))]);
  return rows.map(toCurrentPayment);
}
