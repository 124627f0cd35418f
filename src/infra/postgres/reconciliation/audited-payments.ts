import type pg from 'pg';
import type { AuditedPayment, AuditedPayments } from '../../../app/reconciliation/ports.ts';
import { ulidToUuid, uuidToUlid } from '../../../app/ulid.ts';
import { eventTypeOf } from './event-type.ts';

type PaymentRow = [
  paymentId: string,
  parentId: string | null,
  payerAccountId: string,
  payeeAccountId: string,
  amountCents: bigint,
  currency: string,
  eventType: AuditedPayment['eventType'],
  event: AuditedPayment['event'],
  missing: boolean,
];

// What the outbox says of the payments of `page`. One statement is one snapshot: an
// event that moves on meanwhile is seen in one place or in the other.
const WITH_EVENT = `
  select page.payment_id, page.parent_id, page.payer_account_id, page.payee_account_id, page.amount_cents, page.currency,
    ${eventTypeOf('page')} as event_type,
    case
      when pending.id is not null then 'PENDING'
      when discarded.id is not null then 'DISCARDED'
      else 'SENT'
    end as event,
    page.missing
  from page
  left join (
    select id from outbox union select id from outbox_blocked union select id from outbox_dead_letters
  ) pending on pending.id = page.payment_id
  left join outbox_discarded discarded on discarded.id = page.payment_id
  order by page.payment_id`;

const PAGE = `
  with page as materialized (
    select payment_id, payer_account_id, payee_account_id, amount_cents, currency, status, kind, parent_id, false as missing
    from payments
    where payment_id > $1 and payment_id <= $2 order by payment_id limit $3
  ) ${WITH_EVENT}`;

const UNCONFIRMED = `
  with page as materialized (
    select payment_id, payer_account_id, payee_account_id, amount_cents, currency, status, kind, parent_id, missing
    from unconfirmed_events join payments using (payment_id)
    where payment_id > $1 order by payment_id limit $2
  ) ${WITH_EVENT}`;

const WITHOUT_PAYMENT = `
  select id from unnest($1::uuid[]) as given (id)
  where not exists (select from payments where payment_id = given.id)`;

/** Payments and their events as Postgres has them. Writes and locks nothing. */
export function postgresAuditedPayments(pool: pg.Pool): AuditedPayments {
  return {
    page: (afterId, toId, limit) => select(pool, PAGE, [ulidToUuid(afterId), ulidToUuid(toId), limit]),
    unconfirmed: (afterId, limit) => select(pool, UNCONFIRMED, [ulidToUuid(afterId), limit]),
    async now() {
      const { rows } = await pool.query<{ now: Date }>('select clock_timestamp() as now');
      return rows[0]!.now;
    },
    async morePending(limit) {
      const { rowCount } = await pool.query('select from outbox offset $1 limit 1', [limit]);
      return rowCount === 1;
    },
    async withoutPayment(paymentIds) {
      const { rows } = await pool.query<{ id: string }>(WITHOUT_PAYMENT, [paymentIds.map(ulidToUuid)]);
      return rows.map(({ id }) => uuidToUlid(id));
    },
  };
}

async function select(pool: pg.Pool, text: string, values: unknown[]): Promise<AuditedPayment[]> {
  const { rows } = await pool.query<PaymentRow>({ text, values, rowMode: 'array' });
  return rows.map(
    ([id, parentId, payerAccountId, payeeAccountId, amountCents, currency, eventType, event, missing]) => ({
      paymentId: uuidToUlid(id),
      parentId: parentId === null ? undefined : uuidToUlid(parentId),
      payerAccountId,
      payeeAccountId,
      amountCents,
      currency,
      eventType,
      event,
      missing,
    }),
  );
}
