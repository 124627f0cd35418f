import { type CallerKey, keyOf } from '../../../app/commands.ts';
import type { Action, Payment } from '../../../app/domain/payment.ts';
import type { CurrentPayment } from '../../../app/domain/payment-balance.ts';
import type { KeyedPayment } from '../../../app/ports.ts';
import { uuidToUlid } from '../../../app/ulid.ts';
import { plainArray, textArray } from '../array.ts';
import { type Connection, prepared } from '../statement.ts';
import {
  ACTION_COLUMNS,
  type ActionRow,
  BALANCE_COLUMNS,
  type BalanceColumns,
  balanceOfPayment,
  toAction,
  toCurrentPayment,
} from './rows.ts';

type Row = ActionRow & BalanceColumns;

// A later action's id is not a payment's.
const PAYMENT = `select ${ACTION_COLUMNS}, ${BALANCE_COLUMNS}
   from payments ${balanceOfPayment('payments.payment_id')}
   where parent_id is null`;

// A lone key has a statement of its own, whose plan Postgres keeps: with an array it
// plans anew each time, because it expects fewer rows than it would in general.
const selectOne = prepared<Row>('find_payment', `${PAYMENT} and payments.payment_id = $1::uuid`);

const select = prepared<Row>('find_payments', `${PAYMENT} and payments.payment_id = any($1::uuid[])`);

const selectFirst = prepared<ActionRow>(
  'find_first_actions',
  `select ${ACTION_COLUMNS}
   from unnest($1::uuid[]) as wanted (id)
   -- Limited, so that each is looked up, by a plan that Postgres keeps.
   cross join lateral (select * from payments where payments.payment_id = wanted.id limit 1) payments
   where parent_id is null`,
);

const selectByKey = prepared<Row & { caller: string; key: string; key_of_batch: string | null }>(
  'find_payments_by_key',
  `select caller, key, made.batch_id as key_of_batch, ${ACTION_COLUMNS}, ${BALANCE_COLUMNS}
   from unnest($1::text[], $2::text[]) as wanted (caller, key)
   join idempotency_keys taken using (caller, key)
   join payments made on made.payment_id = taken.payment_id
   join payments on payments.payment_id = coalesce(made.parent_id, made.payment_id)
   ${balanceOfPayment('payments.payment_id')}`,
);

const selectActions = prepared<ActionRow>(
  'find_actions',
  `select ${ACTION_COLUMNS}
   from unnest($1::uuid[]) with ordinality as wanted (id, n)
   -- Limited, so that each is looked up.
   cross join lateral (select * from payments where payments.payment_id = wanted.id limit 1) payments
   order by n`,
);

/** Those of the payments that exist, by uuid. */
export async function findPayments(
  connection: Connection,
  uuids: readonly string[],
): Promise<ReadonlyMap<string, CurrentPayment>> {
  if (uuids.length === 0) return new Map();
  const { rows } =
    uuids.length === 1 ? await selectOne(connection, [uuids[0]]) : await select(connection, [plainArray(uuids)]);
  return new Map(rows.map((row) => [row.payment_id, toCurrentPayment(row)]));
}

/** What never changes of those of the payments that exist, by uuid. */
export async function findFirstActions(
  connection: Connection,
  uuids: readonly string[],
): Promise<ReadonlyMap<string, Payment>> {
  const { rows } = await selectFirst(connection, [plainArray(uuids)]);
  return new Map(rows.map((row) => [row.payment_id, toAction(row) as Payment]));
}

/** The payments of those of the keys that have one, by keyOf(key). */
export async function findPaymentsByKey(
  connection: Connection,
  keys: readonly CallerKey[],
): Promise<ReadonlyMap<string, KeyedPayment>> {
  const { rows } = await selectByKey(connection, [
    textArray(keys.map(({ caller }) => caller)),
    textArray(keys.map(({ idempotencyKey }) => idempotencyKey)),
  ]);
  return new Map(
    rows.map((row) => [
      keyOf({ caller: row.caller, idempotencyKey: row.key }),
      { ...toCurrentPayment(row), keyOfBatch: row.key_of_batch === null ? undefined : uuidToUlid(row.key_of_batch) },
    ]),
  );
}

/** Those of the actions that exist, in the order of their uuids. */
export async function findActions(connection: Connection, uuids: readonly string[]): Promise<Action[]> {
  const { rows } = await selectActions(connection, [plainArray(uuids)]);
  return rows.map(toAction);
}
