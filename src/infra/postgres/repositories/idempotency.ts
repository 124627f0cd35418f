import type { Payment } from '../../../app/domain/payment.ts';
import { keyOf } from '../../../app/ledger-draft.ts';
import type { AuthorizeCommand } from '../../../app/ports.ts';
import { ulidToUuid, uuidToUlid } from '../../ulid.ts';
import { plainArray, textArray } from '../array.ts';
import { type Connection, prepared } from '../statement.ts';
import type { PaymentRow } from '../tables.ts';
import { PAYMENT_COLUMNS, toPayment } from './payments.ts';

/** A setting that is there inside a transaction of PostgresUnitOfWork, and only there. */
export const TRANSACTION_MARK = 'payment_ledger.transaction';

const insert = prepared<{ payment_id: string }>(
  'claim_keys',
  // BEGIN travels with this statement. Had it failed, this would commit by itself, and
  // leave keys without a payment: so there is nothing to claim outside a transaction.
  // Sorted, so that two transactions claim common keys in the same order; among equal
  // keys of one batch the first to arrive wins.
  `insert into idempotency_keys (caller, key, payment_id, created_at)
   select caller, key, payment_id, $4
   from unnest($1::text[], $2::text[], $3::uuid[]) with ordinality as claim (caller, key, payment_id, arrival)
   where current_setting('${TRANSACTION_MARK}', true) = 'open'
   order by caller collate "C", key collate "C", arrival
   on conflict do nothing
   returning payment_id`,
);

const select = prepared<PaymentRow & { caller: string; key: string }>(
  'find_by_key',
  `select held.caller, held.key, ${PAYMENT_COLUMNS}
   from unnest($1::text[], $2::text[]) as wanted (caller, key)
   join idempotency_keys held using (caller, key)
   join payments using (payment_id)`,
);

/** See LedgerTransaction.claimKeys. */
export async function claimKeys(
  connection: Connection,
  commands: readonly AuthorizeCommand[],
  now: Date,
): Promise<ReadonlySet<string>> {
  const { rows } = await insert(connection, [
    textArray(commands.map(({ caller }) => caller)),
    textArray(commands.map(({ idempotencyKey }) => idempotencyKey)),
    plainArray(commands.map(({ paymentId }) => ulidToUuid(paymentId))),
    now,
  ]);
  return new Set(rows.map((row) => uuidToUlid(row.payment_id)));
}

/** See LedgerTransaction.findByKey. */
export async function findByKey(
  connection: Connection,
  commands: readonly AuthorizeCommand[],
): Promise<ReadonlyMap<string, Payment>> {
  const { rows } = await select(connection, [
    textArray(commands.map(({ caller }) => caller)),
    textArray(commands.map(({ idempotencyKey }) => idempotencyKey)),
  ]);
  return new Map(rows.map((row) => [keyOf({ caller: row.caller, idempotencyKey: row.key }), toPayment(row)]));
}
