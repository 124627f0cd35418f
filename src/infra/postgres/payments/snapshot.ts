import type { BalanceSnapshot, SnapshotPoint } from '../../../app/listings.ts';
import { type Connection, prepared } from '../statement.ts';

interface Row {
  currency: string;
  last_version: bigint;
  version: bigint;
  /** Null before the first entry. */
  balance_after_cents: bigint | null;
  pending_after_cents: bigint | null;
  created_at: Date | null;
}

const select = prepared<Row>(
  'balance_snapshot',
  `select balance.currency, balance.version as last_version, point.version, entry.balance_after_cents, entry.pending_after_cents, entry.created_at
   from account_balances balance
   cross join lateral (
     select coalesce($2::bigint, version_at(balance.account_id, $3::timestamptz, balance.version)) as version
   ) point
   left join ledger_entries entry on entry.account_id = balance.account_id and entry.version = point.version
   where balance.account_id = $1`,
);

/** See Listings.snapshot. */
export async function findSnapshot(
  connection: Connection,
  accountId: string,
  point: SnapshotPoint,
): Promise<BalanceSnapshot | undefined> {
  const values = point.version === undefined ? [accountId, null, point.at] : [accountId, point.version, null];
  const { rows } = await select(connection, values);
  const [row] = rows;
  if (row === undefined) return undefined;
  const { currency, version, last_version } = row;
  if (version > last_version) return { currency, after: undefined };
  return {
    currency,
    after: {
      version,
      balanceCents: row.balance_after_cents ?? 0n,
      pendingCents: row.pending_after_cents ?? 0n,
      entryAt: row.created_at ?? undefined,
    },
  };
}
