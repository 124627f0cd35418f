import type { Payment } from '../../../app/domain/payment.ts';
import { keyOf } from '../../../app/ledger-draft.ts';
import type { CallerKey } from '../../../app/ports.ts';
import { uuidToUlid } from '../../../app/ulid.ts';
import { plainArray, textArray } from '../array.ts';
import { type Connection, prepared } from '../statement.ts';
import type { PaymentRow } from '../tables.ts';

export const PAYMENT_COLUMNS = `payments.payment_id, payer_account_id, payee_account_id, amount_cents, currency, status,
  description, reference, metadata, decline_code, decline_message, payer_version, payee_version, payments.created_at`;

// A lone key has a statement of its own, whose plan Postgres keeps: with an array it
// plans anew each time, because it expects fewer rows than it would in general.
const selectOne = prepared<PaymentRow>(
  'find_payment',
  `select ${PAYMENT_COLUMNS} from payments where payment_id = $1::uuid`,
);

const select = prepared<PaymentRow>(
  'find_payments',
  `select ${PAYMENT_COLUMNS} from payments where payment_id = any($1::uuid[])`,
);

const selectByKey = prepared<PaymentRow & { caller: string; key: string }>(
  'find_payments_by_key',
  `select caller, key, ${PAYMENT_COLUMNS}
   from unnest($1::text[], $2::text[]) as wanted (caller, key)
   join idempotency_keys using (caller, key)
   join payments using (payment_id)`,
);

/** Those of the payments that exist, by uuid. */
export async function findPayments(
  connection: Connection,
  uuids: readonly string[],
): Promise<ReadonlyMap<string, Payment>> {
  const { rows } =
    uuids.length === 1 ? await selectOne(connection, [uuids[0]]) : await select(connection, [plainArray(uuids)]);
  return new Map(rows.map((row) => [row.payment_id, toPayment(row)]));
}

/** The payments of those of the keys that have one, by keyOf(key). */
export async function findPaymentsByKey(
  connection: Connection,
  keys: readonly CallerKey[],
): Promise<ReadonlyMap<string, Payment>> {
  const { rows } = await selectByKey(connection, [
    textArray(keys.map(({ caller }) => caller)),
    textArray(keys.map(({ idempotencyKey }) => idempotencyKey)),
  ]);
  return new Map(rows.map((row) => [keyOf({ caller: row.caller, idempotencyKey: row.key }), toPayment(row)]));
}

export function toPayment(row: PaymentRow): Payment {
  return {
    paymentId: uuidToUlid(row.payment_id),
    payerAccountId: row.payer_account_id,
    payeeAccountId: row.payee_account_id,
    amountCents: row.amount_cents,
    currency: row.currency,
    description: row.description,
    reference: row.reference ?? undefined,
    metadata: row.metadata ?? undefined,
    createdAt: row.created_at,
    // A CHECK sees to it that these columns fit the status.
    verdict:
      row.status === 'AUTHORIZED'
        ? { status: 'AUTHORIZED', payerVersion: row.payer_version!, payeeVersion: row.payee_version! }
        : { status: 'DECLINED', decline: { code: row.decline_code!, message: row.decline_message! } },
  };
}
