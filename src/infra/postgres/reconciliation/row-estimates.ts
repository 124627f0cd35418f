import type pg from 'pg';
import type { BooksStage } from '../../../app/reconciliation/books.ts';
import { lowestUlid, ulidToUuid } from '../../../app/ulid.ts';
import { STAGES } from './books-stages.ts';

// What the planner expects: at no cost, and near enough to say how long something takes.

/** About how many rows the whole books have that a reconciliation examines. */
export async function estimateBooksRows(pool: pg.Pool): Promise<number> {
  let rows = 0;
  for (const stage of Object.keys(STAGES) as Exclude<BooksStage, 'CURRENCIES'>[]) {
    rows += await estimate(pool, `select from ${STAGES[stage].table}`);
  }
  return rows;
}

/** About how many payments there are whose calls came in since then. */
export function estimatePaymentsSince(pool: pg.Pool, since: Date): Promise<number> {
  return estimate(pool, `select from payments where payment_id >= '${ulidToUuid(lowestUlid(since.getTime()))}'::uuid`);
}

async function estimate(pool: pg.Pool, statement: string): Promise<number> {
  const { rows } = await pool.query<{ 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] }>(
    `explain (format json) ${statement}`,
  );
  return rows[0]!['QUERY PLAN'][0].Plan['Plan Rows'];
}
