import { ulidToUuid } from '../../../app/ulid.ts';
import { type Connection, prepared } from '../statement.ts';

/** Comes after the version of any entry: what was declined has none. */
const NO_VERSION = '9223372036854775807';

const select = prepared<{ payment_id: string }>(
  'next_actions',
  // As the index payments_by_parent has them: ids are made by replicas, whose clocks differ,
  // but times and versions while the accounts are locked.
  `select next.payment_id
   from (values (1)) as one
   left join payments last on last.payment_id = $2::uuid and last.parent_id = $1::uuid
   cross join lateral (
     select payment_id from payments
     where parent_id = $1::uuid
       and (created_at, coalesce(payer_version, ${NO_VERSION}), payment_id)
         > (coalesce(last.created_at, '-infinity'),
            coalesce(last.payer_version, case when last.payment_id is null then 0 else ${NO_VERSION} end),
            coalesce(last.payment_id, '00000000-0000-0000-0000-000000000000'))
     order by created_at, coalesce(payer_version, ${NO_VERSION}), payment_id
     limit $3
   ) next`,
);

/**
 * The uuids of a payment's actions after one of them, as many as are asked for, in the order in which they took effect:
 * the payment itself, and what was done with it by time and by the payer's versions. What was declined comes by its time,
 * behind what was done in the same millisecond.
 */
export async function nextActions(
  connection: Connection,
  paymentId: string,
  after: string | undefined,
  limit: number,
): Promise<string[]> {
  const uuid = ulidToUuid(paymentId);
  const first = after === undefined ? [uuid] : [];
  if (limit === first.length) return first;
  const { rows } = await select(connection, [uuid, ulidToUuid(after ?? paymentId), limit - first.length]);
  return [...first, ...rows.map((row) => row.payment_id)];
}
