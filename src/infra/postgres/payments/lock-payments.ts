import type { PaymentBalance } from '../../../app/domain/payment-balance.ts';
import { ulidToUuid, uuidToUlid } from '../../../app/ulid.ts';
import { plainArray } from '../array.ts';
import { prepared, preparedRows, type Transaction } from '../statement.ts';

type LockedRow = [
  uuid: string,
  heldCents: bigint,
  capturedCents: bigint,
  releasedCents: bigint,
  refundedCents: bigint,
  actions: number,
  /** Milliseconds since 1970. */
  expiresAtMs: number | null,
  updatedAtMs: number,
];

const lock = preparedRows<LockedRow>(
  'lock_payments',
  // Locked in the order in which they leave the sort, as in lock-balances.ts.
  `select payment_id, held_cents, captured_cents, released_cents, refunded_cents, actions,
     date_part('epoch', expires_at) * 1000, date_part('epoch', updated_at) * 1000
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
  const [, rows] = await Promise.all([begun, lock(transaction, [plainArray(paymentIds.map(ulidToUuid))])]);
  return new Map(rows.map((row) => [uuidToUlid(row[0]), toBalance(row)]));
}

function toBalance(row: LockedRow): PaymentBalance {
  const [, heldCents, capturedCents, releasedCents, refundedCents, actions, expiresAtMs, updatedAtMs] = row;
  const expiresAt = expiresAtMs === null ? undefined : timeOf(expiresAtMs);
  return { heldCents, capturedCents, releasedCents, refundedCents, actions, expiresAt, updatedAt: timeOf(updatedAtMs) };
}

/** Rounded, as times of the service have whole milliseconds, and floating point may be just below. */
function timeOf(ms: number): Date {
  return new Date(Math.round(ms));
}
