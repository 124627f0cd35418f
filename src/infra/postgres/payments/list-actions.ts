import type { Kysely } from 'kysely';
import type { Action } from '../../../app/domain/payment.ts';
import type { Page } from '../../../app/listings.ts';
import { ulidToUuid } from '../../../app/ulid.ts';
import type { Connection } from '../statement.ts';
import type { Database } from '../tables.ts';
import { findActions } from './find-payments.ts';
import { fittingPayments, type PageLimits } from './page-bytes.ts';

/** See Listings.actions. The first action is the payment itself, all others have it as their parent, whatever their ids: clocks of replicas differ. */
export async function listActions(
  connection: Connection,
  database: Kysely<Database>,
  paymentId: string,
  after: string | undefined,
  { size, pageBytes }: PageLimits,
): Promise<Page<Action, string>> {
  const uuid = ulidToUuid(paymentId);
  const first = after === undefined ? [uuid] : [];
  const later = await database
    .selectFrom('payments')
    .select('payment_id')
    .where('parent_id', '=', uuid)
    .$if(after !== undefined && after !== paymentId, (query) => query.where('payment_id', '>', ulidToUuid(after!)))
    .orderBy('payment_id')
    // One more than the page can take tells whether there is a next page.
    .limit(size + 1 - first.length)
    .execute();
  const uuids = [...first, ...later.map((row) => row.payment_id)];
  const listed = await fittingPayments(connection, uuids.slice(0, size), pageBytes);
  const items = await findActions(connection, listed);
  return { items, next: uuids.length > listed.length ? items.at(-1)?.actionId : undefined };
}
