import type { Kysely } from 'kysely';
import type { Payment } from '../../../app/domain/payment.ts';
import type { Page, PaymentCursor, PaymentFilter } from '../../../app/listings.ts';
import { ulidToUuid, uuidToUlid } from '../../../app/ulid.ts';
import type { Connection } from '../statement.ts';
import type { Database } from '../tables.ts';
import { toPayment } from './find-payments.ts';
import { idsInTime } from './ids-in-time.ts';
import { listPaymentsOfAccount } from './list-payments-of-account.ts';

/** The most payments that are looked at for one page: a few milliseconds. */
const MAX_SCANNED = 10_000;

/** See Listings.payments. */
export async function listPayments(
  connection: Connection,
  database: Kysely<Database>,
  filter: PaymentFilter,
  cursor: PaymentCursor | undefined,
  size: number,
): Promise<Page<Payment, PaymentCursor>> {
  const { accountId, reference } = filter;
  // A reference names fewer payments than an account.
  if (accountId !== undefined && reference === undefined) {
    return listPaymentsOfAccount(connection, database, { ...filter, accountId }, cursor, size);
  }
  return listByScan(database, filter, cursor?.paymentBefore, size);
}

/** Goes down the ids of a reference, or of a time window, and leaves out what the filter does not want. */
async function listByScan(
  database: Kysely<Database>,
  { accountId, role, statuses, reference, createdFrom, createdBefore }: PaymentFilter,
  before: string | undefined,
  size: number,
): Promise<Page<Payment, PaymentCursor>> {
  const { lowest, above } = idsInTime(createdFrom, createdBefore);
  const end = before === undefined ? above : ulidToUuid(before);
  const scanned = database
    .selectFrom('payments')
    .where('payment_id', '>=', lowest)
    .$if(end !== undefined, (query) => query.where('payment_id', '<', end!))
    .$if(reference !== undefined, (query) => query.where('reference', '=', reference!))
    .orderBy('payment_id', 'desc');
  const rows = await database
    .selectFrom(scanned.selectAll().limit(MAX_SCANNED).as('scanned'))
    .selectAll()
    .where('status', 'in', [...statuses])
    .$if(createdFrom !== undefined, (query) => query.where('created_at', '>=', createdFrom!))
    .$if(createdBefore !== undefined, (query) => query.where('created_at', '<', createdBefore!))
    .$if(accountId !== undefined, (query) =>
      query.where((where) => {
        const [payer, payee] = [where('payer_account_id', '=', accountId!), where('payee_account_id', '=', accountId!)];
        if (role === undefined) return where.or([payer, payee]);
        return role === 'PAYER' ? payer : payee;
      }),
    )
    .orderBy('payment_id', 'desc')
    .limit(size + 1)
    .execute();
  const items = rows.slice(0, size).map(toPayment);
  if (rows.length > size) return { items, next: cursorBefore(rows[size - 1]!.payment_id) };
  // The last one that was looked at, unless that was all there are.
  const last = await scanned
    .select('payment_id')
    .offset(MAX_SCANNED - 1)
    .limit(1)
    .executeTakeFirst();
  return { items, next: last && cursorBefore(last.payment_id) };
}

function cursorBefore(uuid: string): PaymentCursor {
  return { versionBefore: undefined, paymentBefore: uuidToUlid(uuid) };
}
