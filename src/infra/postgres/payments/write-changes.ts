import type { Balance } from '../../../app/domain/account.ts';
import { shardOf } from '../../../app/domain/shard.ts';
import type { DecidedPayment, LedgerChanges } from '../../../app/ports.ts';
import { ulidToUuid } from '../../../app/ulid.ts';
import { jsonArray, plainArray, textArray } from '../array.ts';
import { prepared, type Transaction } from '../statement.ts';

/** A column of the rows that are given to the statement: one array of all its values. */
interface Column<Item> {
  readonly name: string;
  readonly type: string;
  readonly array: (items: readonly Item[]) => string;
}

function plain<Item>(
  name: string,
  type: string,
  value: (item: Item) => string | number | bigint | undefined,
): Column<Item> {
  return { name, type, array: (items) => plainArray(items.map(value)) };
}

function text<Item>(name: string, value: (item: Item) => string | undefined): Column<Item> {
  return { name, type: 'text', array: (items) => textArray(items.map(value)) };
}

function json<Item>(name: string, value: (item: Item) => object): Column<Item> {
  return { name, type: 'jsonb', array: (items) => jsonArray(items.map(value)) };
}

/** undefined becomes NULL. */
function optionalJson<Item>(name: string, value: (item: Item) => object | undefined): Column<Item> {
  const textOf = (item: Item) => {
    const document = value(item);
    return document === undefined ? undefined : JSON.stringify(document);
  };
  return { name, type: 'jsonb', array: (items) => textArray(items.map(textOf)) };
}

type Decided = DecidedPayment & { readonly shard: number };

const PAYMENT_COLUMNS: readonly Column<Decided>[] = [
  plain('payment_id', 'uuid', ({ payment }) => ulidToUuid(payment.paymentId)),
  text('payer_account_id', ({ payment }) => payment.payerAccountId),
  text('payee_account_id', ({ payment }) => payment.payeeAccountId),
  plain('amount_cents', 'bigint', ({ payment }) => payment.amountCents),
  text('currency', ({ payment }) => payment.currency),
  plain('status', 'payment_status', ({ payment }) => payment.verdict.status),
  text('description', ({ payment }) => payment.description),
  text('reference', ({ payment }) => payment.reference),
  optionalJson('metadata', ({ payment }) => payment.metadata),
  text('decline_code', ({ payment }) => declineOf(payment)?.code),
  text('decline_message', ({ payment }) => declineOf(payment)?.message),
  plain('payer_version', 'bigint', ({ entries }) => entries?.debit.version),
  plain('payee_version', 'bigint', ({ entries }) => entries?.credit.version),
  plain('payer_after_cents', 'bigint', ({ entries }) => entries?.debit.balanceAfterCents),
  plain('payee_after_cents', 'bigint', ({ entries }) => entries?.credit.balanceAfterCents),
  plain('shard', 'smallint', ({ shard }) => shard),
  text('event_type', ({ event }) => event.type),
  json('payload', ({ event }) => event.payload),
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

function unnest(columns: readonly Column<never>[], first: number): string {
  return `unnest(${columns.map(({ type }, n) => `$${first + n}::${type}[]`).join(', ')})`;
}

function names(columns: readonly Column<never>[]): string {
  return columns.map(({ name }) => name).join(', ');
}

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
       (account_id, version, payment_id, direction, amount_cents, balance_after_cents, created_at)
     select account_id, version, payment_id, direction, amount_cents, balance_after_cents, $1::timestamptz
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
 * Writes payments, ledger entries, balances and outbox. The balances must be locked:
 * that is what keeps a payer's events in order.
 *
 * Throws at once, before anything is sent, what goes wrong here. Once it has returned,
 * a failure is one of Postgres', which fails the transaction: COMMIT may be sent.
 */
export function writeChanges(
  transaction: Transaction,
  { decided, balances, at }: LedgerChanges,
  shards: number,
): Promise<unknown> {
  const payments = decided.map((one): Decided => ({ ...one, shard: shardOf(one.payment.payerAccountId, shards) }));
  return write(transaction, [
    at.toISOString(),
    ...PAYMENT_COLUMNS.map(({ array }) => array(payments)),
    ...BALANCE_COLUMNS.map(({ array }) => array(balances)),
  ]);
}

function declineOf({ verdict }: DecidedPayment['payment']) {
  return verdict.status === 'DECLINED' ? verdict.decline : undefined;
}
