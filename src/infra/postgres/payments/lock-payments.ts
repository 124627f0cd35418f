import type { PaymentBalance } from '../../../app/domain/payment-balance.ts';
import { ulidToUuid, uuidToUlid } from '../../../app/ulid.ts';
import { plainArray } from '../array.ts';
import { prepared, type Transaction } from '../statement.ts';
import type { PaymentBalanceRow } from '../tables.ts';
import { balanceOf } from './rows.ts';

const lock = prepared<PaymentBalanceRow>(
  'lock_payments',
  // Locked in the order in which they leave the sort, as in lock-balances.ts.
  `select payment_id, held_cents, captured_cents, released_cents, refunded_cents, actions, expires_at, updated_at
   from payment_balances
   where payment_id = any($1::uuid[])
   order by payment_id
   for no key update`,
);

/** See LedgerTransaction.lockPayments. */
export async function lockPayments(
  transaction: Transaction,
  paymentIds: readonly string[],
): Promise<ReadonlyMap<string, PaymentBalance>> {
  const { rows } = await lock(transaction, [plainArray(paymentIds.map(ulidToUuid))]);
  return new Map(rows.map((row) => [uuidToUlid(row.payment_id), balanceOf(row)]));
}
