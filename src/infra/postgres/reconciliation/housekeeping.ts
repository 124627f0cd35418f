import type pg from 'pg';
import type {
  IdempotencyKeys,
  LastReconciliation,
  ReconciliationHistory,
} from '../../../app/reconciliation/housekeeping.ts';

const LAST = `
  select started_at as "startedAt", cardinality(problems) as problems,
         (select max(started_at) from reconciliations where since is null) as "wholeStartedAt"
  from reconciliations
  order by started_at desc
  limit 1`;

export function postgresReconciliationHistory(pool: pg.Pool): ReconciliationHistory {
  return {
    async last() {
      const { rows } = await pool.query<LastReconciliation>(LAST);
      return rows[0];
    },
    async record(startedAt, since, { paymentsExamined, problems }) {
      await pool.query(
        `with forgotten as (delete from reconciliations where started_at < $1::timestamptz - interval '1 month')
         insert into reconciliations (started_at, since, payments_examined, problems) values ($1, $2, $3, $4)
         on conflict (started_at) do nothing`,
        [startedAt, since, paymentsExamined, problems],
      );
    },
  };
}

// There is no index on created_at, which every payment would pay for. The oldest keys
// are at the table's beginning, where the scan finds them first.
const EXPIRE = `
  delete from idempotency_keys
  where ctid = any (array(select ctid from idempotency_keys where created_at < $1 limit $2))`;

export function postgresIdempotencyKeys(pool: pg.Pool): IdempotencyKeys {
  return {
    async expire(before, limit) {
      return (await pool.query(EXPIRE, [before, limit])).rowCount ?? 0;
    },
  };
}
