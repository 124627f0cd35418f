import { keyOf } from '../../../app/ledger-draft.ts';
import type { AuthorizeCommand, KeyHolder } from '../../../app/ports.ts';
import { ulidToUuid, uuidToUlid } from '../../../app/ulid.ts';
import { plainArray, textArray } from '../array.ts';
import { prepared, type Transaction } from '../statement.ts';
import type { PaymentRow } from '../tables.ts';
import { PAYMENT_COLUMNS, toPayment } from './find-payments.ts';

/** A setting that is there inside a transaction of PostgresUnitOfWork, and only there. */
export const TRANSACTION_MARK = 'payment_ledger.transaction';

const insert = prepared(
  'claim_keys',
  // BEGIN travels with this statement. Had it failed, this would commit by itself, and
  // leave keys without a payment: so there is nothing to claim outside a transaction.
  // Sorted, so that two transactions claim common keys in the same order; among equal
  // keys of one batch the first to arrive wins.
  `insert into idempotency_keys (caller, key, payment_id, created_at)
   select caller, key, payment_id, greatest($4::timestamptz, now())
   from unnest($1::text[], $2::text[], $3::uuid[]) with ordinality as claim (caller, key, payment_id, arrival)
   where current_setting('${TRANSACTION_MARK}', true) = 'open'
   order by caller collate "C", key collate "C", arrival
   on conflict do nothing`,
);

type HolderRow = PaymentRow & { caller: string; key: string; taken_by: string; payment_id: string | null };

const select = prepared<HolderRow>(
  'find_key_holders',
  `select taken.caller, taken.key, taken.payment_id as taken_by, ${PAYMENT_COLUMNS}
   from unnest($1::text[], $2::text[]) as wanted (caller, key)
   join idempotency_keys taken using (caller, key)
   left join payments on payments.payment_id = taken.payment_id`,
);

/** See LedgerTransaction.claimKeys. */
export async function claimKeys(
  transaction: Transaction,
  commands: readonly AuthorizeCommand[],
  now: Date,
): Promise<number> {
  const { rowCount } = await insert(transaction, [
    textArray(commands.map(({ caller }) => caller)),
    textArray(commands.map(({ idempotencyKey }) => idempotencyKey)),
    plainArray(commands.map(({ paymentId }) => ulidToUuid(paymentId))),
    now,
  ]);
  return rowCount ?? 0;
}

/** See LedgerTransaction.findKeyHolders. */
export async function findKeyHolders(
  transaction: Transaction,
  commands: readonly AuthorizeCommand[],
): Promise<ReadonlyMap<string, KeyHolder>> {
  const { rows } = await select(transaction, [
    textArray(commands.map(({ caller }) => caller)),
    textArray(commands.map(({ idempotencyKey }) => idempotencyKey)),
  ]);
  return new Map(
    rows.map((row) => [
      keyOf({ caller: row.caller, idempotencyKey: row.key }),
      { paymentId: uuidToUlid(row.taken_by), payment: row.payment_id === null ? undefined : toPayment(row) },
    ]),
  );
}
