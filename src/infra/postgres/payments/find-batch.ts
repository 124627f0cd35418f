import type { BatchedAction } from '../../../app/decide-batch.ts';
import { type CurrentPayment, firstBalance } from '../../../app/domain/payment-balance.ts';
import { ulidToUuid } from '../../../app/ulid.ts';
import { type Connection, prepared } from '../statement.ts';
import { findPayments } from './find-payments.ts';
import {
  ACTION_COLUMNS,
  type ActionRow,
  BALANCE_COLUMNS,
  type BalanceColumns,
  balanceOfPayment,
  toAction,
  toPaymentBalance,
} from './rows.ts';

const select = prepared<ActionRow & BalanceColumns>(
  'find_batch',
  `select ${ACTION_COLUMNS}, ${BALANCE_COLUMNS}
   from payments first
   cross join unnest(first.batch_actions) as item (payment_id)
   join payments on payments.payment_id = item.payment_id
   ${balanceOfPayment('coalesce(payments.parent_id, payments.payment_id)')}
   where first.payment_id = $1::uuid and first.batch_id = first.payment_id
   order by payments.batch_item`,
);

/** See Ledger.findBatch. */
export async function findBatch(connection: Connection, batchId: string): Promise<BatchedAction[]> {
  const { rows } = await select(connection, [ulidToUuid(batchId)]);
  const parents = [...new Set(rows.flatMap(({ parent_id }) => parent_id ?? []))];
  // What never changes of them; what does was read with their actions, so that it is of one moment.
  const found = parents.length === 0 ? new Map<string, CurrentPayment>() : await findPayments(connection, parents);
  return rows.map((row) => {
    const action = toAction(row);
    const payment = row.parent_id === null ? (action as CurrentPayment) : found.get(row.parent_id)!;
    return { action, payment: { ...payment, balance: toPaymentBalance(row) ?? firstBalance(payment) } };
  });
}
