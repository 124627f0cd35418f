import type pg from 'pg';
import type { LedgerEntry } from '../../../app/domain/ledger.ts';
import { shardOf } from '../../../app/domain/shard.ts';
import {
  type PaymentHistory,
  REPLAYED,
  type RecordedPayment,
  type ReplayOutbox,
  type ReplayRange,
} from '../../../app/replay.ts';
import { lowestUlid, ulidToUuid } from '../../../app/ulid.ts';
import { PAYMENT_COLUMNS, toPayment } from '../payments/find-payments.ts';
import type { PaymentRow } from '../tables.ts';
import { countShards } from './shard-count.ts';

interface Row extends PaymentRow {
  cursor: string;
  debit_balance: bigint | null;
  credit_balance: bigint | null;
}

const COLUMNS = `${PAYMENT_COLUMNS},
  (select balance_after_cents from ledger_entries debit
   where debit.account_id = payer_account_id and debit.version = payer_version) as debit_balance,
  (select balance_after_cents from ledger_entries credit
   where credit.account_id = payee_account_id and credit.version = payee_version) as credit_balance`;

const BY_TIME = `
  select ${COLUMNS}, payments.payment_id::text as cursor
  from payments
  where payments.payment_id >= $1 and payments.payment_id < $2 and payments.payment_id > $3
  order by payments.payment_id
  limit $4`;

const BY_ACCOUNT = `
  select ${COLUMNS}, mine.version::text as cursor
  from (
    select payment_id, version from ledger_entries where account_id = $1 and version > $2 order by version limit $3
  ) mine
  join payments on payments.payment_id = mine.payment_id
  order by mine.version`;

const BY_ID = `
  select ${COLUMNS}, payments.payment_id::text as cursor from payments where payments.payment_id = $1`;

/** Payments as they were recorded, with their ledger entries. */
export function postgresPaymentHistory(pool: pg.Pool): PaymentHistory {
  return {
    async page(range, after, limit) {
      const { rows } = await select(pool, range, after, limit);
      return rows.map(toRecorded);
    },
  };
}

function select(pool: pg.Pool, range: ReplayRange, after: string | undefined, limit: number) {
  switch (range.kind) {
    case 'TIME': {
      const [from, to] = [lowestId(range.from), lowestId(range.to)];
      return pool.query<Row>(BY_TIME, [from, to, after ?? lowestId(new Date(0)), limit]);
    }
    case 'ACCOUNT':
      return pool.query<Row>(BY_ACCOUNT, [range.accountId, after ?? 0, limit]);
    case 'PAYMENT':
      return pool.query<Row>(BY_ID, [ulidToUuid(range.paymentId)]);
  }
}

/** Ids begin with their time. */
export function lowestId(time: Date): string {
  return ulidToUuid(lowestUlid(time.getTime()));
}

function toRecorded(row: Row): RecordedPayment {
  const payment = toPayment(row);
  const { cursor } = row;
  if (payment.verdict.status === 'DECLINED') return { payment, cursor };
  const { paymentId, amountCents, createdAt, payerAccountId, payeeAccountId } = payment;
  const same = { paymentId, amountCents, createdAt };
  const { payerVersion, payeeVersion } = payment.verdict;
  return { payment, cursor, debit: debit(), credit: credit() };

  function debit(): LedgerEntry | undefined {
    if (row.debit_balance === null) return undefined;
    const balanceAfterCents = row.debit_balance;
    return { ...same, direction: 'DEBIT', accountId: payerAccountId, version: payerVersion, balanceAfterCents };
  }
  function credit(): LedgerEntry | undefined {
    if (row.credit_balance === null) return undefined;
    const balanceAfterCents = row.credit_balance;
    return { ...same, direction: 'CREDIT', accountId: payeeAccountId, version: payeeVersion, balanceAfterCents };
  }
}

// The type begins with what it is of. A replayed event gets a position of its own, behind what is pending already.
const APPEND = `
  insert into outbox (shard, id, aggregatetype, aggregateid, type, payload, headers, created_at)
  select shard, id, split_part(type, '.', 1), key, type, payload, $7::jsonb, created_at
  from unnest($1::smallint[], $2::uuid[], $3::text[], $4::text[], $5::jsonb[], $6::timestamptz[]) with ordinality
    as event (shard, id, key, type, payload, created_at, n)
  order by n`;

/** The outbox as a replay fills it. */
export function postgresReplayOutbox(pool: pg.Pool): ReplayOutbox {
  return {
    async pending() {
      const { rows } = await pool.query<{ pending: number }>('select count(*)::int as pending from outbox');
      return rows[0]!.pending;
    },
    async append(events) {
      const shards = await countShards(pool);
      await pool.query(APPEND, [
        events.map(({ key }) => shardOf(key, shards)),
        events.map(({ eventId }) => ulidToUuid(eventId)),
        events.map(({ key }) => key),
        events.map(({ type }) => type),
        events.map(({ payload }) => JSON.stringify(payload)),
        events.map(({ createdAt }) => createdAt),
        JSON.stringify(REPLAYED),
      ]);
    },
  };
}
