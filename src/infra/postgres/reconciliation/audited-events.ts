import type pg from 'pg';
import type { AuditedEvent, AuditedEvents } from '../../../app/reconciliation/ports.ts';
import { ulidToUuid, uuidToUlid } from '../../../app/ulid.ts';
import { eventTypeOf } from './event-type.ts';

type EventRow = [
  eventId: string,
  key: string,
  /** The payment that a later action is of; null if it is the payment itself, or no payment. */
  parentId: string | null,
  /** Null if it is the event of an account's change. */
  payeeAccountId: string | null,
  /** A payment's amount, or the revision that a change made. */
  quantity: bigint,
  currency: string,
  type: AuditedEvent['type'],
  state: AuditedEvent['state'],
  missing: boolean,
];

const PAYMENT = `payment_id as id, payer_account_id as key, parent_id as parent, payee_account_id as payee,
  amount_cents as quantity, payments.currency, ${eventTypeOf('payments')} as type`;

const CHANGE = `change_id as id, account_id as key, null::uuid as parent, null as payee, revision as quantity,
  accounts.currency, 'account.' || lower(kind::text) || '.v1' as type`;

// What the outbox says of the events of `page`. One statement is one snapshot: an
// event that moves on meanwhile is seen in one place or in the other.
const WITH_STATE = `
  select page.id, page.key, page.parent, page.payee, page.quantity, page.currency, page.type,
    case
      when pending.id is not null then 'PENDING'
      when discarded.id is not null then 'DISCARDED'
      else 'SENT'
    end as state,
    page.missing
  from page
  left join (
    select id from outbox union select id from outbox_blocked union select id from outbox_dead_letters
  ) pending on pending.id = page.id
  left join outbox_discarded discarded on discarded.id = page.id
  order by page.id`;

const PAGE = `
  with page as materialized (
    (select ${PAYMENT}, false as missing
     from payments where payment_id > $1 and payment_id <= $2 order by payment_id limit $3)
    union all
    (select ${CHANGE}, false
     from account_changes join accounts using (account_id)
     where change_id > $1 and change_id <= $2 order by change_id limit $3)
    order by id limit $3
  ) ${WITH_STATE}`;

const UNCONFIRMED = `
  with oldest as materialized (
    select payment_id as id, missing from unconfirmed_events where payment_id > $1 order by payment_id limit $2
  ), page as materialized (
    select ${PAYMENT}, missing from oldest join payments on payment_id = oldest.id
    union all
    select ${CHANGE}, missing
    from oldest join account_changes on change_id = oldest.id join accounts using (account_id)
  ) ${WITH_STATE}`;

const UNKNOWN = `
  select id from unnest($1::uuid[]) as given (id)
  where not exists (select from payments where payment_id = given.id)
    and not exists (select from account_changes where change_id = given.id)`;

/** Events and what calls for them, as Postgres has them. Writes and locks nothing. */
export function postgresAuditedEvents(pool: pg.Pool): AuditedEvents {
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
    async unknown(eventIds) {
      const { rows } = await pool.query<{ id: string }>(UNKNOWN, [eventIds.map(ulidToUuid)]);
      return rows.map(({ id }) => uuidToUlid(id));
    },
  };
}

async function select(pool: pg.Pool, text: string, values: unknown[]): Promise<AuditedEvent[]> {
  const { rows } = await pool.query<EventRow>({ text, values, rowMode: 'array' });
  return rows.map(([id, key, parentId, payeeAccountId, quantity, currency, type, state, missing]) => {
    const eventId = uuidToUlid(id);
    const own =
      payeeAccountId === null
        ? { changeId: eventId, accountId: key, revision: quantity.toString() }
        : {
            paymentId: parentId === null ? eventId : uuidToUlid(parentId),
            actionId: parentId === null ? undefined : eventId,
            payerAccountId: key,
            payeeAccountId,
            // Protobuf-JSON leaves zeros out.
            amountCents: quantity === 0n ? undefined : quantity.toString(),
          };
    return { eventId, key, type, fields: { ...own, currency }, state, missing };
  });
}
