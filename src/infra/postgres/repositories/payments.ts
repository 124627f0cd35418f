import { ulidToUUID, uuidToULID } from 'ulid';
import type { Payment } from '../../../app/domain/payment.ts';
import { type Connection, prepared } from '../statement.ts';
import type { PaymentRow } from '../tables.ts';

export const PAYMENT_COLUMNS = `payments.payment_id, payer_account_id, payee_account_id, amount_cents, currency, status,
  description, decline_code, decline_message, payer_version, payee_version, payments.created_at`;

const insert = prepared(
  'insert_payments',
  `insert into payments (payment_id, payer_account_id, payee_account_id, amount_cents, currency, status, description,
     decline_code, decline_message, payer_version, payee_version, created_at)
   select *
   from unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::payment_status[], $7::text[],
     $8::text[], $9::text[], $10::bigint[], $11::bigint[], $12::timestamptz[])`,
);

const selectOne = prepared<PaymentRow>(
  'find_payment',
  `select ${PAYMENT_COLUMNS} from payments where payment_id = $1::uuid`,
);

export async function insertPayments(connection: Connection, payments: readonly Payment[]): Promise<void> {
  const authorized = payments.map(({ verdict }) => (verdict.status === 'AUTHORIZED' ? verdict : undefined));
  const declines = payments.map(({ verdict }) => (verdict.status === 'DECLINED' ? verdict.decline : undefined));
  await insert(connection, [
    payments.map(({ paymentId }) => ulidToUUID(paymentId)),
    payments.map(({ payerAccountId }) => payerAccountId),
    payments.map(({ payeeAccountId }) => payeeAccountId),
    payments.map(({ amountCents }) => amountCents),
    payments.map(({ currency }) => currency),
    payments.map(({ verdict }) => verdict.status),
    payments.map(({ description }) => description),
    declines.map((decline) => decline?.code),
    declines.map((decline) => decline?.message),
    authorized.map((verdict) => verdict?.payerVersion),
    authorized.map((verdict) => verdict?.payeeVersion),
    payments.map(({ createdAt }) => createdAt),
  ]);
}

export async function findPayment(connection: Connection, paymentId: string): Promise<Payment | undefined> {
  const { rows } = await selectOne(connection, [ulidToUUID(paymentId)]);
  return rows[0] && toPayment(rows[0]);
}

export function toPayment(row: PaymentRow): Payment {
  return {
    paymentId: uuidToULID(row.payment_id),
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
