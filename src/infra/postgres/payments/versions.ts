import { type Connection, prepared } from '../statement.ts';

/** Versions of an account; there is none if last is below first. */
interface Versions {
  readonly first: bigint;
  readonly last: bigint;
}

interface TimeRange {
  readonly createdFrom: Date | undefined;
  readonly createdBefore: Date | undefined;
}

// A microsecond is the least that a timestamp of Postgres can be earlier.
const select = prepared<Versions>(
  'versions_in_time',
  `select
     case when $2::timestamptz is null then 1
       else version_at(account_id, $2::timestamptz - interval '1 microsecond', version) + 1 end as first,
     case when $3::timestamptz is null then version
       else version_at(account_id, $3::timestamptz - interval '1 microsecond', version) end as last
   from account_balances where account_id = $1`,
);

/** Those of the account's entries that were made from the one time on and before the other. Undefined if there is no such account. */
export async function findVersions(
  connection: Connection,
  accountId: string,
  { createdFrom, createdBefore }: TimeRange,
): Promise<Versions | undefined> {
  const { rows } = await select(connection, [accountId, createdFrom ?? null, createdBefore ?? null]);
  return rows[0];
}

export function min(one: bigint, other: bigint): bigint {
  return one < other ? one : other;
}

export function max(one: bigint, other: bigint): bigint {
  return one > other ? one : other;
}
