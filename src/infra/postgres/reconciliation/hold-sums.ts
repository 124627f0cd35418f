import type { Finding } from '../../../app/reconciliation/books.ts';
import type { Transaction } from '../statement.ts';

/** Accounts of which the id is beyond the one and up to the other. */
interface AccountRange {
  readonly after: string;
  readonly last: string;
}

interface BalanceRow {
  account_id: string;
  pending_cents: bigint;
  incoming_cents: bigint;
}

const BALANCES = `
  select account_id, pending_cents, incoming_cents from account_balances
  where account_id > $1 and account_id <= $2 and (pending_cents, incoming_cents) <> (0, 0)`;

interface SumRow {
  account_id: string;
  /** A sum of many bigints is a numeric. */
  cents: string;
  holds: number;
  /** The last payment. */
  last: string;
}

const sumRange = (side: 'payer' | 'payee') => `
  with page as materialized (
    select ${side}_account_id as account_id, payment_id, held_cents from payment_balances
    where open and (${side}_account_id, payment_id) > ($1, $2::uuid) and ${side}_account_id <= $3
    order by ${side}_account_id, payment_id limit $4
  )
  select account_id, sum(held_cents)::text as cents, count(*)::int as holds, max(payment_id::text collate "C") as last
  from page group by account_id order by account_id`;

const LAST_UUID = 'ffffffff-ffff-ffff-ffff-ffffffffffff';

/**
 * The accounts whose pending or incoming balance is not the sum of their open holds, a few of each. One account may
 * have any number of holds, so they are summed in ranges, all within the snapshot that is given.
 */
export async function wrongHoldSums(
  snapshot: Transaction,
  accounts: AccountRange,
  holdsInRange: number,
  most: number,
): Promise<Finding[]> {
  const { rows } = await snapshot.query<BalanceRow>(BALANCES, [accounts.after, accounts.last]);
  const pending = new Map(rows.map((row) => [row.account_id, row.pending_cents]));
  const incoming = new Map(rows.map((row) => [row.account_id, row.incoming_cents]));
  const wrong = async (rule: Finding['rule'], side: 'payer' | 'payee', balances: ReadonlyMap<string, bigint>) => {
    const sums = await sumHolds(snapshot, side, accounts, holdsInRange);
    return [...new Set([...balances.keys(), ...sums.keys()])]
      .filter((accountId) => (balances.get(accountId) ?? 0n) !== (sums.get(accountId) ?? 0n))
      .slice(0, most)
      .map((culprit) => ({ rule, culprit }));
  };
  return [
    ...(await wrong('PENDING_IS_OPEN_HOLDS', 'payer', pending)),
    ...(await wrong('INCOMING_IS_OPEN_HOLDS', 'payee', incoming)),
  ];
}

async function sumHolds(
  snapshot: Transaction,
  side: 'payer' | 'payee',
  { after, last }: AccountRange,
  holdsInRange: number,
): Promise<ReadonlyMap<string, bigint>> {
  const sums = new Map<string, bigint>();
  let cursor = [after, LAST_UUID];
  for (let holds = holdsInRange; holds === holdsInRange; ) {
    const { rows } = await snapshot.query<SumRow>(sumRange(side), [...cursor, last, holdsInRange]);
    for (const { account_id, cents } of rows) sums.set(account_id, (sums.get(account_id) ?? 0n) + BigInt(cents));
    holds = rows.reduce((count, row) => count + row.holds, 0);
    const end = rows.at(-1);
    if (end !== undefined) cursor = [end.account_id, end.last];
  }
  return sums;
}
