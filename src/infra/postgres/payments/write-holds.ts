import type { Balance } from '../../../app/domain/account.ts';
import type { LedgerEntry } from '../../../app/domain/ledger.ts';
import type { ChangedPayment, LedgerChanges } from '../../../app/ports.ts';
import { ulidToUuid } from '../../../app/ulid.ts';
import { prepared, type Transaction } from '../statement.ts';
import { ACTION_COLUMNS, type Decided } from './action-columns.ts';
import { type Column, json, names, plain, text, unnest } from './columns.ts';

const COLUMNS: readonly Column<Decided>[] = [
  ...ACTION_COLUMNS,
  plain('kind', 'payment_kind', ({ action }) => action.kind),
  plain('parent_id', 'uuid', ({ action }) => (isLater(action) ? ulidToUuid(action.paymentId) : undefined)),
  plain('released_cents', 'bigint', ({ action, entries }) =>
    entries !== undefined && mayRelease(action) ? action.releasedCents : undefined,
  ),
  text('expires_at', ({ action }) => action.expiresAt?.toISOString()),
  plain('requested_cents', 'bigint', ({ action }) => action.requestedCents),
  plain('keep_remainder', 'boolean', ({ action }) => action.keepRemainder?.toString()),
  plain('batch_id', 'uuid', ({ action }) => action.batch && ulidToUuid(action.batch.batchId)),
  plain('batch_item', 'smallint', ({ action }) => action.batch?.item),
  plain('batch_size', 'smallint', ({ action }) => action.batch?.whole?.size),
  text('digest', ({ action }) => action.batch?.whole?.digest),
  json('headers', ({ traceparent }) => ({ traceparent })),
];

const ENTRY_COLUMNS: readonly Column<LedgerEntry>[] = [
  text('account_id', ({ accountId }) => accountId),
  plain('version', 'bigint', ({ version }) => version),
  plain('payment_id', 'uuid', ({ actionId }) => ulidToUuid(actionId)),
  plain('direction', 'entry_direction', ({ direction }) => direction),
  plain('amount_cents', 'bigint', ({ amountCents }) => amountCents),
  plain('released_cents', 'bigint', ({ releasedCents }) => releasedCents),
  plain('balance_after_cents', 'bigint', ({ balanceAfterCents }) => balanceAfterCents),
  plain('pending_after_cents', 'bigint', ({ pendingAfterCents }) => pendingAfterCents || undefined),
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
  text('payer_account_id', ({ payment }) => payment.payerAccountId),
  text('payee_account_id', ({ payment }) => payment.payeeAccountId),
  plain('amount_cents', 'bigint', ({ payment }) => payment.amountCents),
  plain('held_cents', 'bigint', ({ balance }) => balance.heldCents),
  plain('captured_cents', 'bigint', ({ balance }) => balance.capturedCents),
  plain('released_cents', 'bigint', ({ balance }) => balance.releasedCents),
  plain('refunded_cents', 'bigint', ({ balance }) => balance.refundedCents),
  plain('actions', 'smallint', ({ balance }) => balance.actions),
  text('expires_at', ({ balance }) => balance.expiresAt?.toISOString()),
  plain('is_new', 'boolean', ({ isNew }) => String(isNew)),
];

/** The parameters come in this order: $1 is the time, then the columns of actions, entries, accounts and payments. */
const FIRST_ACTION = 2;
const FIRST_ENTRY = FIRST_ACTION + COLUMNS.length;
const FIRST_BALANCE = FIRST_ENTRY + ENTRY_COLUMNS.length;
const FIRST_CHANGED = FIRST_BALANCE + BALANCE_COLUMNS.length;

const PAYMENT_COLUMNS = `payment_id, payer_account_id, payee_account_id, amount_cents, currency, status, description,
  reference, metadata, decline_code, decline_message, payer_version, payee_version, kind, parent_id, released_cents,
  expires_at, requested_cents, keep_remainder, batch_id, batch_item, batch_size`;

const write = prepared(
  'write_holds',
  // As in write-changes.ts; what is the same for every plain payment there is given for each row here.
  `with action as materialized (
     select *
     from ${unnest(COLUMNS, FIRST_ACTION)} with ordinality as action (${names(COLUMNS)}, arrival)
   ), payments_written as (
     insert into payments (${PAYMENT_COLUMNS}, request_digest, created_at)
     select ${PAYMENT_COLUMNS.replace('expires_at', 'expires_at::timestamptz')}, decode(digest, 'hex'), $1::timestamptz
     from action
   ), entries_written as (
     insert into ledger_entries (${names(ENTRY_COLUMNS)}, created_at)
     select ${names(ENTRY_COLUMNS)}, $1::timestamptz
     from ${unnest(ENTRY_COLUMNS, FIRST_ENTRY)} as entry (${names(ENTRY_COLUMNS)})
   ), events_written as (
     insert into outbox (shard, id, aggregatetype, aggregateid, type, payload, headers, created_at)
     select shard, payment_id, 'payment', payer_account_id, event_type, payload, headers, $1::timestamptz
     from action
     order by arrival
   ), changed as materialized (
     select * from ${unnest(CHANGED_COLUMNS, FIRST_CHANGED)} as changed (${names(CHANGED_COLUMNS)})
   ), payments_begun as (
     insert into payment_balances (payment_id, payer_account_id, payee_account_id, amount_cents, held_cents,
       captured_cents, released_cents, refunded_cents, actions, expires_at, updated_at)
     select payment_id, payer_account_id, payee_account_id, amount_cents, held_cents,
       captured_cents, released_cents, refunded_cents, actions, expires_at::timestamptz, $1::timestamptz
     from changed where is_new
   ), payments_changed as (
     update payment_balances as balance
     set held_cents = changed.held_cents, captured_cents = changed.captured_cents,
       released_cents = changed.released_cents, refunded_cents = changed.refunded_cents,
       actions = changed.actions, updated_at = $1::timestamptz
     from changed
     where balance.payment_id = changed.payment_id and not changed.is_new
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
     (select assert_balances_written(count(*), (select count(*)::int from changed where not is_new)) from payments_changed)`,
);

/** Writes what has to do with holds, refunds or batches, and payments beside it; see writeChanges. */
export function writeHolds(
  transaction: Transaction,
  { at, decided, balances, payments }: LedgerChanges,
  rows: readonly Decided[],
): Promise<unknown> {
  const entries = decided.flatMap(({ entries }) =>
    entries === undefined ? [] : [entries.payer, entries.payee ?? []].flat(),
  );
  return write(transaction, [
    at.toISOString(),
    ...COLUMNS.map(({ array }) => array(rows)),
    ...ENTRY_COLUMNS.map(({ array }) => array(entries)),
    ...BALANCE_COLUMNS.map(({ array }) => array(balances)),
    ...CHANGED_COLUMNS.map(({ array }) => array(payments)),
  ]);
}

function isLater({ kind }: Decided['action']): boolean {
  return kind !== 'PAYMENT' && kind !== 'HOLD';
}

function mayRelease(action: Decided['action']): boolean {
  return isLater(action) && action.kind !== 'REFUND';
}
