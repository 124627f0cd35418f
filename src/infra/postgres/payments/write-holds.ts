import type { Balance } from '../../../app/domain/account.ts';
import type { ChangedPayment, LedgerChanges } from '../../../app/ports.ts';
import { ulidToUuid } from '../../../app/ulid.ts';
import { plainArray } from '../array.ts';
import { prepared, type Transaction } from '../statement.ts';
import { ACTION_COLUMNS, type Decided } from './action-columns.ts';
import { type Column, json, names, plain, text, unnest } from './columns.ts';

/** What an action leads to on either side; with its version, amount and release that is the side's entry. */
const SIDE_COLUMNS: readonly Column<Decided>[] = (['payer', 'payee'] as const).flatMap((side) => [
  plain(`${side}_direction`, 'entry_direction', ({ entries }) => entries?.[side]?.direction),
  plain(`${side}_after_cents`, 'bigint', ({ entries }) => entries?.[side]?.balanceAfterCents),
  plain(`${side}_pending_cents`, 'bigint', ({ entries }) => entries?.[side]?.pendingAfterCents || undefined),
]);

const COLUMNS: readonly Column<Decided>[] = [
  ...ACTION_COLUMNS,
  plain('kind', 'payment_kind', ({ action }) => action.kind),
  plain('parent_id', 'uuid', ({ action }) => (isLater(action) ? ulidToUuid(action.paymentId) : undefined)),
  plain('released_cents', 'bigint', ({ action, entries }) =>
    entries !== undefined && mayRelease(action) ? action.releasedCents : undefined,
  ),
  plain('expires_at', 'timestamptz', ({ action }) => action.expiresAt?.toISOString()),
  plain('requested_cents', 'bigint', ({ action }) => action.requestedCents),
  plain('keep_remainder', 'boolean', ({ action }) => action.keepRemainder?.toString()),
  plain('batch_id', 'uuid', ({ action }) => action.batch && ulidToUuid(action.batch.batchId)),
  plain('batch_item', 'smallint', ({ action }) => action.batch?.item),
  text('digest', ({ action }) => action.batch?.whole?.digest),
  // As text: an array of arrays would be one array.
  text('batch_actions', ({ action }) => {
    const actionIds = action.batch?.whole?.actionIds;
    return actionIds && plainArray(actionIds.map(ulidToUuid));
  }),
  json('headers', ({ traceparent }) => ({ traceparent })),
  ...SIDE_COLUMNS,
];

const BALANCE_COLUMNS: readonly Column<Balance>[] = [
  text('account_id', ({ accountId }) => accountId),
  plain('available_cents', 'bigint', ({ availableCents }) => availableCents),
  plain('pending_cents', 'bigint', ({ pendingCents }) => pendingCents),
  plain('incoming_cents', 'bigint', ({ incomingCents }) => incomingCents),
  plain('version', 'bigint', ({ version }) => version),
];

const CHANGED_COLUMNS: readonly Column<ChangedPayment>[] = [
  plain('payment_id', 'uuid', ({ payment }) => ulidToUuid(payment.paymentId)),
  plain('held_cents', 'bigint', ({ balance }) => balance.heldCents),
  plain('captured_cents', 'bigint', ({ balance }) => balance.capturedCents),
  plain('released_cents', 'bigint', ({ balance }) => balance.releasedCents),
  plain('refunded_cents', 'bigint', ({ balance }) => balance.refundedCents),
  plain('actions', 'smallint', ({ balance }) => balance.actions),
];

/** The parameters come in this order: $1 is the time, then the columns of actions, accounts and payments. */
const FIRST_ACTION = 2;
const FIRST_BALANCE = FIRST_ACTION + COLUMNS.length;
const FIRST_CHANGED = FIRST_BALANCE + BALANCE_COLUMNS.length;

const PAYMENT_COLUMNS = `payment_id, payer_account_id, payee_account_id, amount_cents, currency, status, description,
  reference, metadata, decline_code, decline_message, payer_version, payee_version, kind, parent_id, released_cents,
  expires_at, requested_cents, keep_remainder, batch_id, batch_item`;

const write = prepared(
  'write_holds',
  // As in write-changes.ts; what is the same for every plain payment there is given for each row here.
  `with action as materialized (
     select *
     from ${unnest(COLUMNS, FIRST_ACTION)} with ordinality as action (${names(COLUMNS)}, arrival)
   ), payments_written as (
     insert into payments (${PAYMENT_COLUMNS}, request_digest, batch_actions, created_at)
     select ${PAYMENT_COLUMNS}, decode(digest, 'hex'), batch_actions::uuid[], $1::timestamptz
     from action
   ), entries_written as (
     insert into ledger_entries (account_id, version, payment_id, direction, amount_cents, released_cents,
       balance_after_cents, pending_after_cents, created_at)
     -- What a void or an expiry moves is 0: its entry is of what it releases.
     select account_id, version, payment_id, direction, case amount_cents when 0 then action.released_cents else amount_cents end,
       case kind when 'CAPTURE' then side.released_cents end, after_cents, pending_cents, $1::timestamptz
     from action
     cross join lateral (
       values (payer_account_id, payer_version, payer_direction, released_cents, payer_after_cents, payer_pending_cents),
              (payee_account_id, payee_version, payee_direction, 0, payee_after_cents, payee_pending_cents)
     ) as side (account_id, version, direction, released_cents, after_cents, pending_cents)
     where version is not null
   ), events_written as (
     insert into outbox (shard, id, aggregatetype, aggregateid, type, payload, headers, created_at)
     select shard, payment_id, 'payment', payer_account_id, event_type, payload, headers, $1::timestamptz
     from action
     order by arrival
   ), payments_begun as (
     insert into payment_balances (payment_id, payer_account_id, payee_account_id, amount_cents, held_cents,
       captured_cents, released_cents, refunded_cents, actions, expires_at, updated_at)
     select payment_id, payer_account_id, payee_account_id, amount_cents, amount_cents, 0, 0, 0, 0, expires_at, $1::timestamptz
     from action
     where kind = 'HOLD' and status = 'AUTHORIZED'
   ), payments_changed as (
     update payment_balances as balance
     set held_cents = changed.held_cents, captured_cents = changed.captured_cents,
       released_cents = changed.released_cents, refunded_cents = changed.refunded_cents,
       actions = changed.actions, updated_at = $1::timestamptz
     from ${unnest(CHANGED_COLUMNS, FIRST_CHANGED)} as changed (${names(CHANGED_COLUMNS)})
     where balance.payment_id = changed.payment_id
       -- Planned while there are few, a join alone would read all, and go on to do so when there are many.
       and balance.payment_id = any($${FIRST_CHANGED}::uuid[])
     returning 1
   ), balances_written as (
     update account_balances as balance
     set available_cents = after.available_cents, pending_cents = after.pending_cents,
       incoming_cents = after.incoming_cents, version = after.version,
       last_entry_at = case when after.version = balance.version then balance.last_entry_at else $1::timestamptz end
     from ${unnest(BALANCE_COLUMNS, FIRST_BALANCE)} as after (${names(BALANCE_COLUMNS)})
     where balance.account_id = after.account_id
     returning 1
   )
   select
     (select assert_balances_written(count(*), cardinality($${FIRST_BALANCE}::text[])) from balances_written),
     (select assert_balances_written(count(*), cardinality($${FIRST_CHANGED}::uuid[])) from payments_changed)`,
);

/** Writes what has to do with holds, refunds or batches, and payments beside it; see writeChanges. */
export function writeHolds(
  transaction: Transaction,
  { at, balances, payments }: LedgerChanges,
  rows: readonly Decided[],
): Promise<unknown> {
  const changed = payments.filter(isChanged);
  return write(transaction, [
    at.toISOString(),
    ...COLUMNS.map(({ array }) => array(rows)),
    ...BALANCE_COLUMNS.map(({ array }) => array(balances)),
    ...CHANGED_COLUMNS.map(({ array }) => array(changed)),
  ]);
}

/** Whether there is more to write of it than that it has begun, which the statement takes from the hold itself. */
function isChanged({ payment, balance, isNew }: ChangedPayment): boolean {
  if (isNew && balance.heldCents !== payment.amountCents) {
    throw new Error(`Bug! Hold ${payment.paymentId} is changed by the transaction that it begins in`);
  }
  return !isNew;
}

function isLater({ kind }: Decided['action']): boolean {
  return kind !== 'PAYMENT' && kind !== 'HOLD';
}

function mayRelease(action: Decided['action']): boolean {
  return isLater(action) && action.kind !== 'REFUND';
}
