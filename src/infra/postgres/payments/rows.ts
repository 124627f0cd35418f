import type { Action, BatchPart, Payment } from '../../../app/domain/payment.ts';
import { type CurrentPayment, firstBalance, type PaymentBalance } from '../../../app/domain/payment-balance.ts';
import { uuidToUlid } from '../../../app/ulid.ts';
import type { PaymentBalanceRow, PaymentRow } from '../tables.ts';

/** An action as it is stored: a row of payments. */
export type ActionRow = PaymentRow;

export const ACTION_COLUMNS = [
  'payment_id',
  'payer_account_id',
  'payee_account_id',
  'amount_cents',
  'currency',
  'status',
  'description',
  'reference',
  'metadata',
  'decline_code',
  'decline_message',
  'payer_version',
  'payee_version',
  'created_at',
  'kind',
  'parent_id',
  'released_cents',
  'expires_at',
  'requested_cents',
  'keep_remainder',
  'batch_id',
  'batch_item',
  'request_digest',
]
  .map((column) => `payments.${column}`)
  .join(', ');

/** The balance of a payment beside the columns of an action; null if it has none of its own. */
export interface BalanceColumns {
  balance_held: bigint | null;
  balance_captured: bigint | null;
  balance_released: bigint | null;
  balance_refunded: bigint | null;
  balance_actions: number | null;
  balance_expires_at: Date | null;
  balance_updated_at: Date | null;
}

export const BALANCE_COLUMNS = `balance.held_cents as balance_held, balance.captured_cents as balance_captured,
  balance.released_cents as balance_released, balance.refunded_cents as balance_refunded,
  balance.actions as balance_actions, balance.expires_at as balance_expires_at, balance.updated_at as balance_updated_at`;

/** Limited, so that each is looked up: a plain join of many payments would read all balances. */
export function balanceOfPayment(paymentId: string): string {
  return `left join lateral (
     select * from payment_balances where payment_balances.payment_id = ${paymentId} limit 1
   ) balance on true`;
}

export function toAction(row: ActionRow): Action {
  const actionId = uuidToUlid(row.payment_id);
  return {
    actionId,
    paymentId: row.parent_id === null ? actionId : uuidToUlid(row.parent_id),
    kind: row.kind,
    payerAccountId: row.payer_account_id,
    payeeAccountId: row.payee_account_id,
    amountCents: row.amount_cents,
    releasedCents: row.released_cents ?? 0n,
    currency: row.currency,
    description: row.description,
    reference: row.reference ?? undefined,
    metadata: row.metadata ?? undefined,
    createdAt: row.created_at,
    // A trigger sees to it that these columns fit the status.
    verdict:
      row.status === 'AUTHORIZED'
        ? { status: 'AUTHORIZED', payerVersion: row.payer_version!, payeeVersion: row.payee_version ?? undefined }
        : { status: 'DECLINED', decline: { code: row.decline_code!, message: row.decline_message! } },
    expiresAt: row.expires_at ?? undefined,
    requestedCents: row.requested_cents ?? undefined,
    keepRemainder: row.keep_remainder ?? undefined,
    batch: row.batch_id === null ? undefined : toBatchPart(row, row.batch_id),
  };
}

/** A trigger sees to it that the other columns fit the batch's id. */
function toBatchPart({ batch_item, request_digest }: ActionRow, batchId: string): BatchPart {
  const whole = request_digest && { digest: request_digest.toString('hex') };
  return { batchId: uuidToUlid(batchId), item: batch_item!, whole: whole ?? undefined };
}

/** Of a row without a parent: the first action of a payment. */
export function toCurrentPayment(row: ActionRow & BalanceColumns): CurrentPayment {
  const payment = toAction(row) as Payment;
  return { ...payment, balance: toPaymentBalance(row) ?? firstBalance(payment) };
}

export function toPaymentBalance(row: BalanceColumns): PaymentBalance | undefined {
  if (row.balance_held === null) return undefined;
  return balanceOf({
    held_cents: row.balance_held,
    captured_cents: row.balance_captured!,
    released_cents: row.balance_released!,
    refunded_cents: row.balance_refunded!,
    actions: row.balance_actions!,
    expires_at: row.balance_expires_at,
    updated_at: row.balance_updated_at!,
  });
}

function balanceOf(row: Omit<PaymentBalanceRow, 'payment_id' | 'open'>): PaymentBalance {
  return {
    heldCents: row.held_cents,
    capturedCents: row.captured_cents,
    releasedCents: row.released_cents,
    refundedCents: row.refunded_cents,
    actions: row.actions,
    expiresAt: row.expires_at ?? undefined,
    updatedAt: row.updated_at,
  };
}
