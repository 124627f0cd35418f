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

const begin = prepared(
  'begin_payment_balances',
  // Whoever comes second waits here until the first one has committed, and then finds its
  // row below: so no two transactions take one payment for one that was never refunded.
  `insert into payment_balances (payment_id, payer_account_id, payee_account_id, amount_cents, held_cents,
     captured_cents, released_cents, refunded_cents, actions, updated_at)
   select payment_id, payer_account_id, payee_account_id, amount_cents, 0, amount_cents, 0, 0, 0, created_at
   from payments
   where payment_id = any($1::uuid[]) and kind = 'PAYMENT' and status = 'AUTHORIZED'
   order by payment_id
   on conflict do nothing`,
);

/** See LedgerTransaction.lockPayments. */
export async function lockPayments(
  transaction: Transaction,
  paymentIds: readonly string[],
  beginning: readonly string[],
): Promise<ReadonlyMap<string, PaymentBalance>> {
  const begun = beginning.length > 0 ? begin(transaction, [plainArray(beginning.map(ulidToUuid))]) : undefined;
  const [, { rows }] = await Promise.all([begun, lock(transaction, [plainArray(paymentIds.map(ulidToUuid))])]);
  return new Map(rows.map((row) => [uuidToUlid(row.payment_id), balanceOf(row)]));
}
