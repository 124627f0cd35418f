import type { Action } from '../../../app/domain/payment.ts';
import type { Page } from '../../../app/listings.ts';
import type { Connection } from '../statement.ts';
import { findActions } from './find-payments.ts';
import { nextActions } from './next-actions.ts';
import { fittingPayments, type PageLimits } from './page-bytes.ts';

/** See Listings.actions. */
export async function listActions(
  connection: Connection,
  paymentId: string,
  after: string | undefined,
  { size, pageBytes }: PageLimits,
): Promise<Page<Action, string>> {
  // One more than the page can take tells whether there is a next page.
  const uuids = await nextActions(connection, paymentId, after, size + 1);
  const listed = await fittingPayments(connection, uuids.slice(0, size), pageBytes);
  const items = await findActions(connection, listed);
  return { items, next: uuids.length > listed.length ? items.at(-1)?.actionId : undefined };
}
