import { type KeyedCommand, keyOf } from '../../../app/commands.ts';
import type { KeyHolder } from '../../../app/ports.ts';
import { ulidToUuid, uuidToUlid } from '../../../app/ulid.ts';
import { plainArray, textArray } from '../array.ts';
import { prepared, type Transaction } from '../statement.ts';
import {
  ACTION_COLUMNS,
  type ActionRow,
  BALANCE_COLUMNS,
  type BalanceColumns,
  balanceOfPayment,
  toAction,
  toPaymentBalance,
} from './rows.ts';

/** A setting that is there inside a transaction of PostgresUnitOfWork, and only there. */
export const TRANSACTION_MARK = { setting: 'payment_ledger.transaction', value: 'with holds' } as const;

const insert = prepared(
  'claim_keys',
  // BEGIN travels with this statement. Had it failed, this would commit by itself, and
  // leave keys without a payment: so there is nothing to claim outside a transaction.
  // Sorted, so that two transactions claim common keys in the same order; among equal
  // keys of one batch the first to arrive wins.
  `insert into idempotency_keys (caller, key, payment_id, created_at)
   select caller, key, payment_id, greatest($4::timestamptz, now())
   from unnest($1::text[], $2::text[], $3::uuid[]) with ordinality as claim (caller, key, payment_id, arrival)
   where current_setting('${TRANSACTION_MARK.setting}', true) = '${TRANSACTION_MARK.value}'
   order by caller collate "C", key collate "C", arrival
   on conflict do nothing`,
);

type HolderRow = ActionRow &
  BalanceColumns & { caller: string; key: string; taken_by: string; payment_id: string | null };

const select = prepared<HolderRow>(
  'find_key_holders',
  `select taken.caller, taken.key, taken.payment_id as taken_by, ${ACTION_COLUMNS}, ${BALANCE_COLUMNS}
   from unnest($1::text[], $2::text[]) as wanted (caller, key)
   join idempotency_keys taken using (caller, key)
   left join payments on payments.payment_id = taken.payment_id
   ${balanceOfPayment('coalesce(payments.parent_id, payments.payment_id)')}`,
);

/** See LedgerTransaction.claimKeys. */
export async function claimKeys(
  transaction: Transaction,
  commands: readonly KeyedCommand[],
  now: Date,
): Promise<number> {
  const { rowCount } = await insert(transaction, [
    textArray(commands.map(({ caller }) => caller)),
    textArray(commands.map(({ idempotencyKey }) => idempotencyKey)),
    plainArray(commands.map(({ actionId }) => ulidToUuid(actionId))),
    now,
  ]);
  return rowCount ?? 0;
}

/** See LedgerTransaction.findKeyHolders. */
export async function findKeyHolders(
  transaction: Transaction,
  commands: readonly KeyedCommand[],
): Promise<ReadonlyMap<string, KeyHolder>> {
  const { rows } = await select(transaction, [
    textArray(commands.map(({ caller }) => caller)),
    textArray(commands.map(({ idempotencyKey }) => idempotencyKey)),
  ]);
  return new Map(
    rows.map((row) => [
      keyOf({ caller: row.caller, idempotencyKey: row.key }),
      {
        actionId: uuidToUlid(row.taken_by),
        action: row.payment_id === null ? undefined : toAction(row),
        balance: toPaymentBalance(row),
      },
    ]),
  );
}
