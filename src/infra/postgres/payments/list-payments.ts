import { type Kysely, sql } from 'kysely';
import { type CurrentPayment, statusOf } from '../../../app/domain/payment-balance.ts';
import type { Page, PaymentCursor, PaymentFilter } from '../../../app/listings.ts';
import { ulidToUuid, uuidToUlid } from '../../../app/ulid.ts';
import type { Connection } from '../statement.ts';
import type { Database } from '../tables.ts';
import { findPayments } from './find-payments.ts';
import { idsInTime } from './ids-in-time.ts';
import { listPaymentsOfAccount } from './list-payments-of-account.ts';
import { fittingPayments, type PageLimits } from './page-bytes.ts';

/** The most payments that are looked at for one page: a few milliseconds. */
const MAX_SCANNED = 10_000;

/** As statusOf of the domain derives it. */
const STATUS = sql<string>`case
  when scanned.status = 'DECLINED' then 'DECLINED'
  when scanned.kind = 'PAYMENT' then 'AUTHORIZED'
  when balance.held_cents > 0 then 'HELD'
  when balance.captured_cents > 0 then 'CAPTURED'
  when balance.updated_at >= balance.expires_at then 'EXPIRED'
  else 'VOIDED'
end`;

/** See Listings.payments. */
export async function listPayments(
  connection: Connection,
  database: Kysely<Database>,
  filter: PaymentFilter,
  cursor: PaymentCursor | undefined,
  limits: PageLimits,
): Promise<Page<CurrentPayment, PaymentCursor>> {
  const { accountId, reference, batchId } = filter;
  // A reference or a batch names fewer payments than an account.
  if (accountId !== undefined && reference === undefined && batchId === undefined) {
    return listPaymentsOfAccount(connection, database, { ...filter, accountId }, cursor, limits);
  }
  const ofBatch = batchId === undefined ? undefined : await paymentsOfBatch(database, batchId);
  if (ofBatch?.length === 0) return { items: [], next: undefined };
  return listByScan(connection, database, filter, ofBatch, cursor?.paymentBefore, limits);
}

/** Goes down the ids of a reference, of a batch or of a time window, and leaves out what the filter does not want. */
async function listByScan(
  connection: Connection,
  database: Kysely<Database>,
  { accountId, role, statuses, reference, createdFrom, createdBefore }: PaymentFilter,
  among: readonly string[] | undefined,
  before: string | undefined,
  { size, pageBytes }: PageLimits,
): Promise<Page<CurrentPayment, PaymentCursor>> {
  const { lowest, above } = idsInTime(createdFrom, createdBefore);
  const end = before === undefined ? above : ulidToUuid(before);
  const scanned = database
    .selectFrom('payments')
    .where('payment_id', '>=', lowest)
    .$if(end !== undefined, (query) => query.where('payment_id', '<', end!))
    .$if(reference !== undefined, (query) => query.where('reference', '=', reference!))
    .$if(among !== undefined, (query) => query.where('payment_id', 'in', among!))
    .orderBy('payment_id', 'desc');
  const rows = await database
    .selectFrom(scanned.selectAll().limit(MAX_SCANNED).as('scanned'))
    // Limited, so that each is looked up, as in rows.ts.
    .leftJoinLateral(
      (query) =>
        query
          .selectFrom('payment_balances')
          .whereRef('payment_balances.payment_id', '=', 'scanned.payment_id')
          .selectAll()
          .limit(1)
          .as('balance'),
      (join) => join.onTrue(),
    )
    .select('scanned.payment_id')
    .where('scanned.parent_id', 'is', null)
    .where(STATUS, 'in', [...statuses])
    .$if(createdFrom !== undefined, (query) => query.where('scanned.created_at', '>=', createdFrom!))
    .$if(createdBefore !== undefined, (query) => query.where('scanned.created_at', '<', createdBefore!))
    .$if(accountId !== undefined, (query) =>
      query.where((where) => {
        const payer = where('scanned.payer_account_id', '=', accountId!);
        const payee = where('scanned.payee_account_id', '=', accountId!);
        if (role === undefined) return where.or([payer, payee]);
        return role === 'PAYER' ? payer : payee;
      }),
    )
    .orderBy('scanned.payment_id', 'desc')
    .limit(size + 1)
    .execute();
  const uuids = rows.slice(0, size).map((row) => row.payment_id);
  const listed = await fittingPayments(connection, uuids, pageBytes);
  const found = await findPayments(connection, listed);
  const items = listed
    .flatMap((uuid) => found.get(uuid) ?? [])
    // It may have changed since.
    .filter((payment) => statuses.has(statusOf(payment, payment.balance)));
  if (rows.length > listed.length) return { items, next: cursorBefore(listed.at(-1)!) };
  // The last one that was looked at, unless that was all there are.
  const last = await scanned
    .select('payment_id')
    .offset(MAX_SCANNED - 1)
    .limit(1)
    .executeTakeFirst();
  return { items, next: last && cursorBefore(last.payment_id) };
}

/** A hundred at most: those of the items, or of the one that declined the batch. */
async function paymentsOfBatch(database: Kysely<Database>, batchId: string): Promise<string[]> {
  const { rows } = await sql<{ payment_id: string }>`
    select distinct coalesce(payments.parent_id, payments.payment_id) as payment_id
    from payments first
    cross join unnest(coalesce(first.batch_actions, array[first.payment_id])) as item (payment_id)
    join payments on payments.payment_id = item.payment_id
    where first.payment_id = ${ulidToUuid(batchId)} and first.batch_id = first.payment_id`.execute(database);
  return rows.map(({ payment_id }) => payment_id);
}

function cursorBefore(uuid: string): PaymentCursor {
  return { versionBefore: undefined, paymentBefore: uuidToUlid(uuid) };
}
