import { shardOf } from '../../../app/domain/shard.ts';
import type { LedgerChanges } from '../../../app/ports.ts';
import { ulidToUuid } from '../../ulid.ts';
import { jsonArray, plainArray, textArray } from '../array.ts';
import { type Connection, prepared } from '../statement.ts';

const write = prepared(
  'write_changes',
  // One statement for all tables: what they have in common travels once. The triggers
  // of ledger_entries run at its end and see everything it wrote. Positions of the
  // outbox are drawn in the order of the payments.
  `with payment as materialized (
     select *
     from unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::payment_status[], $7::text[],
       $8::text[], $9::text[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[],
       $14::smallint[], $15::text[], $16::jsonb[], $17::jsonb[])
     with ordinality as payment (payment_id, payer_account_id, payee_account_id, amount_cents, currency, status,
       description, decline_code, decline_message, payer_version, payee_version, payer_after_cents, payee_after_cents,
       shard, event_type, payload, headers, arrival)
   ), payments_written as (
     insert into payments (payment_id, payer_account_id, payee_account_id, amount_cents, currency, status, description,
       decline_code, decline_message, payer_version, payee_version, created_at)
     select payment_id, payer_account_id, payee_account_id, amount_cents, currency, status, description,
       decline_code, decline_message, payer_version, payee_version, $18::timestamptz
     from payment
   ), entries_written as (
     insert into ledger_entries
       (account_id, version, payment_id, direction, amount_cents, balance_after_cents, created_at)
     select account_id, version, payment_id, direction, amount_cents, balance_after_cents, $18::timestamptz
     from payment
     cross join lateral (
       values (payer_account_id, payer_version, 'DEBIT'::entry_direction, payer_after_cents),
              (payee_account_id, payee_version, 'CREDIT'::entry_direction, payee_after_cents)
     ) as side (account_id, version, direction, balance_after_cents)
     where status = 'AUTHORIZED'
   ), events_written as (
     insert into outbox (shard, id, aggregatetype, aggregateid, type, payload, headers, created_at)
     select shard, payment_id, 'payment', payer_account_id, event_type, payload, headers, $18::timestamptz
     from payment
     order by arrival
   ), balances_written as (
     update account_balances as balance
     set available_cents = after.available_cents, version = after.version
     from unnest($19::text[], $20::bigint[], $21::bigint[]) as after (account_id, available_cents, version)
     where balance.account_id = after.account_id
     returning 1
   )
   -- A division by zero, which fails the transaction, if a balance was not there to be updated.
   select 1 / (count(*) = cardinality($19::text[]))::int from balances_written`,
);

/**
 * Writes payments, ledger entries, balances and outbox. The balances must be locked:
 * that is what keeps a payer's events in order.
 *
 * Throws at once, before anything is sent, what goes wrong here. Once it has returned,
 * a failure is one of Postgres', which fails the transaction: COMMIT may be sent.
 */
export function writeChanges(
  connection: Connection,
  { decided, balances, at }: LedgerChanges,
  shards: number,
): Promise<unknown> {
  return write(connection, [
    plainArray(decided.map(({ payment }) => ulidToUuid(payment.paymentId))),
    textArray(decided.map(({ payment }) => payment.payerAccountId)),
    textArray(decided.map(({ payment }) => payment.payeeAccountId)),
    plainArray(decided.map(({ payment }) => payment.amountCents)),
    textArray(decided.map(({ payment }) => payment.currency)),
    plainArray(decided.map(({ payment }) => payment.verdict.status)),
    textArray(decided.map(({ payment }) => payment.description)),
    textArray(decided.map(({ payment: { verdict } }) => (verdict.status === 'DECLINED' ? verdict.decline.code : null))),
    textArray(
      decided.map(({ payment: { verdict } }) => (verdict.status === 'DECLINED' ? verdict.decline.message : null)),
    ),
    plainArray(decided.map(({ entries }) => entries?.debit.version)),
    plainArray(decided.map(({ entries }) => entries?.credit.version)),
    plainArray(decided.map(({ entries }) => entries?.debit.balanceAfterCents)),
    plainArray(decided.map(({ entries }) => entries?.credit.balanceAfterCents)),
    plainArray(decided.map(({ payment }) => shardOf(payment.payerAccountId, shards))),
    textArray(decided.map(({ event }) => event.type)),
    jsonArray(decided.map(({ event }) => event.payload)),
    jsonArray(decided.map(({ traceparent }) => ({ traceparent }))),
    at.toISOString(),
    textArray(balances.map(({ accountId }) => accountId)),
    plainArray(balances.map(({ availableCents }) => availableCents)),
    plainArray(balances.map(({ version }) => version)),
  ]);
}
