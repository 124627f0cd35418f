import type { Balance } from '../../../app/domain/account.ts';
import { shardOf } from '../../../app/domain/shard.ts';
import type { LedgerChanges } from '../../../app/ports.ts';
import { prepared, type Transaction } from '../statement.ts';
import { ACTION_COLUMNS, type Decided } from './action-columns.ts';
import { type Column, json, names, plain, text, unnest } from './columns.ts';
import { writeHolds } from './write-holds.ts';

const PAYMENT_COLUMNS: readonly Column<Decided>[] = [
  ...ACTION_COLUMNS,
  plain('payer_after_cents', 'bigint', ({ entries }) => entries?.payer.balanceAfterCents),
  plain('payee_after_cents', 'bigint', ({ entries }) => entries?.payee?.balanceAfterCents),
  json('headers', ({ traceparent }) => ({ traceparent })),
];

const BALANCE_COLUMNS: readonly Column<Balance>[] = [
  text('account_id', ({ accountId }) => accountId),
  plain('available_cents', 'bigint', ({ availableCents }) => availableCents),
  plain('version', 'bigint', ({ version }) => version),
];

/** The parameters come in this order: $1 is the time, then the columns of payments, then those of balances. */
const FIRST_PAYMENT = 2;
const FIRST_BALANCE = FIRST_PAYMENT + PAYMENT_COLUMNS.length;

const write = prepared(
  'write_changes',
  // One statement for all tables: what they have in common travels once. The triggers
  // of ledger_entries run at its end and see everything it wrote. Positions of the
  // outbox are drawn in the order of the payments.
  `with payment as materialized (
     select *
     from ${unnest(PAYMENT_COLUMNS, FIRST_PAYMENT)} with ordinality
       as payment (${names(PAYMENT_COLUMNS)}, arrival)
   ), payments_written as (
     insert into payments (payment_id, payer_account_id, payee_account_id, amount_cents, currency, status, description,
       reference, metadata, decline_code, decline_message, payer_version, payee_version, created_at)
     select payment_id, payer_account_id, payee_account_id, amount_cents, currency, status, description,
       reference, metadata, decline_code, decline_message, payer_version, payee_version, $1::timestamptz
     from payment
   ), entries_written as (
     insert into ledger_entries
       (account_id, version, payment_id, direction, amount_cents, balance_after_cents, pending_after_cents, created_at)
     select account_id, version, payment_id, direction, amount_cents, balance_after_cents, null::bigint, $1::timestamptz
     from payment
     cross join lateral (
       values (payer_account_id, payer_version, 'DEBIT'::entry_direction, payer_after_cents),
              (payee_account_id, payee_version, 'CREDIT'::entry_direction, payee_after_cents)
     ) as side (account_id, version, direction, balance_after_cents)
     where status = 'AUTHORIZED'
   ), events_written as (
     insert into outbox (shard, id, aggregatetype, aggregateid, type, payload, headers, created_at)
     select shard, payment_id, 'payment', payer_account_id, event_type, payload, headers, $1::timestamptz
     from payment
     order by arrival
   ), balances_written as (
     update account_balances as balance
     set available_cents = after.available_cents, version = after.version, last_entry_at = $1::timestamptz
     from ${unnest(BALANCE_COLUMNS, FIRST_BALANCE)} as after (${names(BALANCE_COLUMNS)})
     where balance.account_id = after.account_id
     returning 1
   )
   select assert_balances_written(count(*), cardinality($${FIRST_BALANCE}::text[])) from balances_written`,
);

/**
 * Writes actions, ledger entries, balances and outbox. The balances must be locked:
 * that is what keeps a payer's events in order.
 *
 * Throws at once, before anything is sent, what goes wrong here. Once it has returned,
 * a failure is one of Postgres', which fails the transaction: COMMIT may be sent.
 */
export function writeChanges(transaction: Transaction, changes: LedgerChanges, shards: number): Promise<unknown> {
  const { at, balances } = changes;
  const decided = changes.decided.map(
    (one): Decided => ({ ...one, shard: shardOf(one.action.payerAccountId, shards) }),
  );
  if (!isPlain(changes)) return writeHolds(transaction, changes, decided);
  return write(transaction, [
    at.toISOString(),
    ...PAYMENT_COLUMNS.map(({ array }) => array(decided)),
    ...BALANCE_COLUMNS.map(({ array }) => array(balances)),
  ]);
}

/** Whether there are only payments that came alone, between accounts with nothing on hold for others: what the shorter statement can write. */
function isPlain({ decided, balances }: LedgerChanges): boolean {
  return (
    decided.every(({ action }) => action.kind === 'PAYMENT' && action.batch === undefined) &&
    balances.every(({ pendingCents }) => pendingCents === 0n)
  );
}
