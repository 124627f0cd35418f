import type pg from 'pg';
import type { Books, BooksRule, CurrencySum, ExaminedRange } from '../../../app/reconciliation/books.ts';
import { lowestUlid, ulidToUuid, uuidToUlid } from '../../../app/ulid.ts';
import type { Transaction } from '../statement.ts';
import { inTransaction } from '../transaction.ts';
import { STAGES, type StageTable } from './books-stages.ts';
import { wrongHoldSums } from './hold-sums.ts';

/** Culprits that are named for each rule that a range breaks. */
const FINDINGS_PER_RULE = 5;

// A range is joined by looking its rows up. Planned otherwise, a join would read all of
// a ledger for each range of it.
const BEGIN = `begin isolation level repeatable read read only;
  set local enable_hashjoin = off; set local enable_mergejoin = off; set local enable_seqscan = off; set local jit = off`;

/** The books as Postgres has them. Of the open holds of accounts, so many are summed by one statement. */
export function postgresBooks(pool: pg.Pool, holdsInRange = 10_000): Books {
  return {
    paymentsFrom: (time) => [ulidToUuid(lowestUlid(time.getTime()))],
    examine: (stage, after, limit) =>
      inTransaction(pool, BEGIN, async (snapshot) => {
        const range = await examineRange(snapshot, STAGES[stage], after ?? [], limit);
        if (stage !== 'BALANCES' || range.last === undefined) return range;
        const accounts = { after: after?.[0] ?? '', last: range.last[0]! };
        const findings = await wrongHoldSums(snapshot, accounts, holdsInRange, FINDINGS_PER_RULE);
        return { ...range, findings: [...range.findings, ...findings] };
      }),
    sumCurrencies: (limit) => inTransaction(pool, BEGIN, (snapshot) => sumCurrencies(snapshot, limit)),
  };
}

interface RangeRow {
  rows: number;
  last: string[] | null;
  findings: [rule: BooksRule, culprit: string][];
}

async function examineRange(
  snapshot: Transaction,
  stage: StageTable,
  after: readonly string[],
  limit: number,
): Promise<ExaminedRange> {
  const values = [...stage.key.map(([, , first], column) => after[column] ?? first), limit];
  const { rows: answer } = await snapshot.query<RangeRow>(rangeQuery(stage), values);
  const { rows, last, findings } = answer[0]!;
  return {
    rows,
    last: last ?? undefined,
    findings: findings.map(([rule, culprit]) => ({ rule, culprit: readable(culprit) })),
  };
}

function rangeQuery({ table, key, rules }: StageTable): string {
  const columns = key.map(([column]) => column);
  const after = key.map(([, type], column) => `$${column + 1}::${type}`);
  const findings = Object.entries(rules).map(
    ([rule, sql]) => `(select '${rule}' as rule, culprit from (${sql}) as broken limit ${FINDINGS_PER_RULE})`,
  );
  return `
    with page as materialized (
      select * from ${table} where (${columns.join(', ')}) > (${after.join(', ')})
      order by ${columns.join(', ')} limit $${key.length + 1}
    ), findings as (${findings.join(' union all ')})
    select (select count(*)::int from page) as rows,
      (select array[${columns.map((column) => `${column}::text`).join(', ')}] from page
       order by ${columns.map((column) => `${column} desc`).join(', ')} limit 1) as last,
      coalesce((select json_agg(json_build_array(rule, culprit)) from findings), '[]') as findings`;
}

const SUM_RANGE = `
  with page as materialized (
    select account_id, currency, available_cents + pending_cents as cents from account_balances
    where account_id > $1 order by account_id limit $2
  )
  select currency, sum(cents)::text as cents, count(*)::int as accounts, (select max(account_id) from page) as last
  from page group by currency`;

interface SumRow {
  currency: string;
  /** The sum of many bigints is a numeric, which may be larger than any of them. */
  cents: string;
  accounts: number;
  last: string;
}

/** Sums of ranges add up to zero only if all are of one moment, so the snapshot is kept for all of them. */
async function sumCurrencies(snapshot: Transaction, limit: number): Promise<CurrencySum[]> {
  const sums = new Map<string, bigint>();
  let after = '';
  for (;;) {
    const { rows } = await snapshot.query<SumRow>(SUM_RANGE, [after, limit]);
    for (const { currency, cents } of rows) sums.set(currency, (sums.get(currency) ?? 0n) + BigInt(cents));
    if (rows.reduce((sum, { accounts }) => sum + accounts, 0) < limit) break;
    after = rows[0]!.last;
  }
  return [...sums].map(([currency, sumCents]) => ({ currency, sumCents }));
}

/** Payment ids are known to people as ULIDs. */
function readable(culprit: string): string {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(culprit) ? uuidToUlid(culprit) : culprit;
}
