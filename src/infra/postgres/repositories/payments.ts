import type { Payment } from '../../../app/domain/payment.ts';
import { ulidToUuid, uuidToUlid } from '../../ulid.ts';
import { type Connection, prepared } from '../statement.ts';
import type { PaymentRow } from '../tables.ts';

export const PAYMENT_COLUMNS = `payments.payment_id, payer_account_id, payee_account_id, amount_cents, currency, status,
  description, decline_code, decline_message, payer_version, payee_version, payments.created_at`;

const selectOne = prepared<PaymentRow>(
  'find_payment',
  `select ${PAYMENT_COLUMNS} from payments where payment_id = $1::uuid`,
);

export async function findPayment(connection: Connection, paymentId: string): Promise<Payment | undefined> {
  const { rows } = await selectOne(connection, [ulidToUuid(paymentId)]);
  return rows[0] && toPayment(rows[0]);
}

export function toPayment(row: PaymentRow): Payment {
  return {
    paymentId: uuidToUlid(row.payment_id),
    payerAccountId: row.payer_account_id,
    payeeAccountId: row.payee_account_id,
    amountCents: row.amount_cents,
    currency: row.currency,
    description: row.description,
    createdAt: row.created_at,
    // A CHECK holds these columns to their status.
    verdict:
      row.status === 'AUTHORIZED'
        ? { status: 'AUTHORIZED', payerVersion: row.payer_version!, payeeVersion: row.payee_version! }
        : { status: 'DECLINED', decline: { code: row.decline_code!, message: row.decline_message! } },
  };
}
