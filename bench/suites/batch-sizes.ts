import type { BenchDatabase } from '../database.ts';
import { rounded } from '../statistics.ts';

/** Payments in a transaction. */
export interface BatchSizes {
  readonly mean: number;
  readonly median: number;
  readonly max: number;
}

/**
 * Read off the payments themselves: those of one transaction bear its number in xmin,
 * and their ids begin with their time, so that a span of time is a span of the primary key.
 */
export async function batchSizes(
  { client }: BenchDatabase,
  spans: readonly { readonly from: number; readonly to: number }[],
): Promise<BatchSizes> {
  const { rows } = await client.query<{ size: number }>(
    `select count(*)::int as size
     from unnest($1::uuid[], $2::uuid[]) as span (first, last)
     join payments on payment_id between span.first and span.last
     group by payments.xmin::text
     order by size`,
    [spans.map(({ from }) => firstId(from)), spans.map(({ to }) => firstId(to))],
  );
  const sizes = rows.map(({ size }) => size);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  return {
    mean: rounded(total / sizes.length),
    median: sizes[Math.floor(sizes.length / 2)] ?? Number.NaN,
    max: sizes.at(-1) ?? Number.NaN,
  };
}

/** The lowest payment id of a time, which is in milliseconds since 1970: its 48 bits, then zeros. */
function firstId(ms: number): string {
  return `${ms.toString(16).padStart(12, '0')}${'0'.repeat(20)}`;
}
