import type pg from 'pg';
import type { EntryDirection, LedgerEntry } from '../../../app/domain/ledger.ts';
import { shardOf } from '../../../app/domain/shard.ts';
import {
  type PaymentHistory,
  REPLAYED,
  type RecordedAction,
  type ReplayOutbox,
  type ReplayRange,
} from '../../../app/replay.ts';
import { lowestUlid, ulidToUuid, uuidToUlid } from '../../../app/ulid.ts';
import { nextActions } from '../payments/next-actions.ts';
import { ACTION_COLUMNS, type ActionRow, toAction } from '../payments/rows.ts';
import { countShards } from './shard-count.ts';

interface Row extends ActionRow {
  cursor: string;
  payer_entry: EntryJson | null;
  payee_entry: EntryJson | null;
}

/** Amounts as text, for JSON of Postgres has numbers that JavaScript would round. */
interface EntryJson {
  direction: EntryDirection;
  amount: string;
  posted: string;
  pending: string | null;
}

const entryOf = (side: 'payer' | 'payee') => `
  (select jsonb_build_object('direction', direction, 'amount', entry.amount_cents::text,
     'posted', balance_after_cents::text, 'pending', pending_after_cents::text)
   from ledger_entries entry
   where entry.account_id = ${side}_account_id and entry.version = ${side}_version) as ${side}_entry`;

const COLUMNS = `${ACTION_COLUMNS}, ${entryOf('payer')}, ${entryOf('payee')}`;

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

const BY_IDS = `
  select ${COLUMNS}, payments.payment_id::text as cursor
  from unnest($1::uuid[]) with ordinality as wanted (id, n)
  cross join lateral (select * from payments where payments.payment_id = wanted.id limit 1) payments
  order by n`;

/** Payments as they were recorded, with their ledger entries. */
export function postgresPaymentHistory(pool: pg.Pool): PaymentHistory {
  return {
    async page(range, after, limit) {
      const { rows } = await select(pool, range, after, limit);
      return rows.map(toRecorded);
    },
  };
}

async function select(pool: pg.Pool, range: ReplayRange, after: string | undefined, limit: number) {
  switch (range.kind) {
    case 'TIME': {
      const [from, to] = [lowestId(range.from), lowestId(range.to)];
      return pool.query<Row>(BY_TIME, [from, to, after ?? lowestId(new Date(0)), limit]);
    }
    case 'ACCOUNT':
      return pool.query<Row>(BY_ACCOUNT, [range.accountId, after ?? 0, limit]);
    case 'PAYMENT':
      return pool.query<Row>(BY_IDS, [await nextActions(pool, range.paymentId, after && uuidToUlid(after), limit)]);
  }
}

/** Ids begin with their time. */
export function lowestId(time: Date): string {
  return ulidToUuid(lowestUlid(time.getTime()));
}

function toRecorded(row: Row): RecordedAction {
  const action = toAction(row);
  const entry = (accountId: string, version: bigint | null, json: EntryJson | null): LedgerEntry | undefined => {
    if (json === null || version === null) return undefined;
    return {
      actionId: action.actionId,
      createdAt: action.createdAt,
      accountId,
      version,
      direction: json.direction,
      amountCents: BigInt(json.amount),
      balanceAfterCents: BigInt(json.posted),
      pendingAfterCents: BigInt(json.pending ?? 0),
    };
  };
  return {
    action,
    payer: entry(action.payerAccountId, row.payer_version, row.payer_entry),
    payee: entry(action.payeeAccountId, row.payee_version, row.payee_entry),
    cursor: row.cursor,
  };
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
