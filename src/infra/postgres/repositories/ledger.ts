import { ulidToUUID } from 'ulid';
import type { LedgerEntry } from '../../../app/domain/ledger.ts';
import { type Connection, prepared } from '../statement.ts';

const insert = prepared(
  'insert_entries',
  `insert into ledger_entries (account_id, version, payment_id, direction, amount_cents, balance_after_cents, created_at)
   select *
   from unnest($1::text[], $2::bigint[], $3::uuid[], $4::entry_direction[], $5::bigint[], $6::bigint[], $7::timestamptz[])`,
);

export async function insertEntries(connection: Connection, entries: readonly LedgerEntry[]): Promise<void> {
  if (entries.length === 0) return;
  await insert(connection, [
    entries.map(({ accountId }) => accountId),
    entries.map(({ version }) => version),
    entries.map(({ paymentId }) => ulidToUUID(paymentId)),
    entries.map(({ direction }) => direction),
    entries.map(({ amountCents }) => amountCents),
    entries.map(({ balanceAfterCents }) => balanceAfterCents),
    entries.map(({ createdAt }) => createdAt),
  ]);
}
