import type { Kysely } from 'kysely';
import type { Action } from '../../../app/domain/payment.ts';
import type { Page } from '../../../app/listings.ts';
import { ulidToUuid } from '../../../app/ulid.ts';
import type { Database } from '../tables.ts';
import { toAction } from './rows.ts';

/** See Listings.actions. The first action is the payment itself, all others have it as their parent, whatever their ids: clocks of replicas differ. */
export async function listActions(
  database: Kysely<Database>,
  paymentId: string,
  after: string | undefined,
  size: number,
): Promise<Page<Action, string>> {
  const uuid = ulidToUuid(paymentId);
  const first =
    after === undefined
      ? await database.selectFrom('payments').selectAll().where('payment_id', '=', uuid).execute()
      : [];
  const later = await database
    .selectFrom('payments')
    .selectAll()
    .where('parent_id', '=', uuid)
    .$if(after !== undefined && after !== paymentId, (query) => query.where('payment_id', '>', ulidToUuid(after!)))
    .orderBy('payment_id')
    // One more than the page can take tells whether there is a next page.
    .limit(size + 1 - first.length)
    .execute();
  const items = [...first, ...later].map(toAction);
  const page = items.slice(0, size);
  return { items: page, next: items.length > size ? page.at(-1)!.actionId : undefined };
}
