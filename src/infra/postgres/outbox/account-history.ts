import type pg from 'pg';
import type { AccountChangeKind } from '../../../app/domain/account-change.ts';
import type { Metadata } from '../../../app/domain/payment.ts';
import type { AccountHistory, History, RecordedAccountChange, ReplayRange } from '../../../app/replay.ts';
import { uuidToUlid } from '../../../app/ulid.ts';
import type { AccountRow } from '../tables.ts';
import { lowestId, postgresPaymentHistory } from './replay.ts';

interface Row extends AccountRow {
  change_id: string;
  revision: bigint;
  kind: AccountChangeKind;
  debits_frozen: boolean;
  credits_frozen: boolean;
  metadata: Metadata | null;
  reason: string;
  caller: string;
  created_at: Date;
}

const COLUMNS = `change_id, account_id, currency, type, change.overdraft_limit_cents, opened_at, revision, kind,
  debits_frozen, credits_frozen, metadata, reason, caller, created_at`;

const BY_TIME = `
  select ${COLUMNS}
  from account_changes change join accounts using (account_id)
  where change_id >= $1 and change_id < $2 and change_id > $3
  order by change_id
  limit $4`;

const BY_ACCOUNT = `
  select ${COLUMNS}
  from account_changes change join accounts using (account_id)
  where account_id = $1 and revision > $2
  order by revision
  limit $3`;

/** Everything that has events, as it was recorded. */
export function postgresHistory(pool: pg.Pool): History {
  return { accounts: postgresAccountHistory(pool), payments: postgresPaymentHistory(pool) };
}

function postgresAccountHistory(pool: pg.Pool): AccountHistory {
  return {
    async page(range, after, limit) {
      const { rows } = await select(pool, range, after, limit);
      return rows.map((row) => toRecorded(row, range));
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
      return { rows: [] };
  }
}

function toRecorded(row: Row, range: ReplayRange): RecordedAccountChange {
  const { kind, reason, caller, revision } = row;
  const account = {
    accountId: row.account_id,
    currency: row.currency,
    type: row.type,
    overdraftLimitCents: row.overdraft_limit_cents,
    openedAt: row.opened_at,
    debitsFrozen: row.debits_frozen,
    creditsFrozen: row.credits_frozen,
    closed: kind === 'CLOSED',
    metadata: row.metadata ?? undefined,
    revision,
    changedAt: row.created_at,
  };
  const change = { changeId: uuidToUlid(row.change_id), kind, account, reason, caller };
  return { change, cursor: range.kind === 'TIME' ? row.change_id : revision.toString() };
}
