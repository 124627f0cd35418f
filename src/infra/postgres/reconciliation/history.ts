import type pg from 'pg';
import type { BooksStage } from '../../../app/reconciliation/books.ts';
import type {
  LastReconciliation,
  ReconciliationHistory,
  RecordedReconciliation,
} from '../../../app/reconciliation/reconcile-lately.ts';

interface ReconciliationRow {
  reconciliation_id: bigint;
  whole: boolean;
  started_at: Date;
  since: Date | null;
  stage: BooksStage | null;
  after_key: string[] | null;
  payments_examined: bigint;
  problems: string[];
}

// While an examination is under way, what the last finished one found still counts.
const LAST = `
  with finished as (
    select distinct on (whole) * from reconciliations
    where finished_at is not null and started_at <= now() order by whole, reconciliation_id desc
  ), unfinished as (
    select distinct on (whole) * from reconciliations
    where finished_at is null and started_at <= now() order by whole, reconciliation_id desc
  )
  select max(started_at) as "startedAt",
    ((select count(distinct problem) from (select problems from finished union all select problems from unfinished) as latest,
        unnest(problems) as problem)
      + (select count(*) from reconciliations where started_at > now()))::int as problems
  from finished
  having count(*) > 0`;

const LATEST = `
  select * from reconciliations where whole = $1 and started_at <= now() order by reconciliation_id desc limit 1`;

const BEGIN = `
  with forgotten as (delete from reconciliations where started_at < now() - interval '1 month')
  insert into reconciliations (whole, since, stage, after_key) values ($1, $2, $3, $4)
  returning *`;

const ADVANCE = `
  update reconciliations
  set stage = $2, after_key = $3, payments_examined = $4, problems = $5,
      finished_at = case when $2::text is null then clock_timestamp() end
  where reconciliation_id = $1 and stage = $6 and after_key is not distinct from $7::text[]`;

export function postgresReconciliationHistory(pool: pg.Pool): ReconciliationHistory {
  return {
    async now() {
      const { rows } = await pool.query<{ now: Date }>('select now()');
      return rows[0]!.now;
    },
    async last() {
      const { rows } = await pool.query<LastReconciliation>(LAST);
      return rows[0];
    },
    async latest(whole) {
      const { rows } = await pool.query<ReconciliationRow>(LATEST, [whole]);
      return rows[0] && toReconciliation(rows[0]);
    },
    async countFuture() {
      const { rows } = await pool.query<{ count: number }>(
        'select count(*)::int as count from reconciliations where started_at > now()',
      );
      return rows[0]!.count;
    },
    async begin(since, { stage, after }) {
      const { rows } = await pool.query<ReconciliationRow>(BEGIN, [since === undefined, since, stage, after]);
      return toReconciliation(rows[0]!);
    },
    async advance({ id, progress: before }, { stage, after, paymentsExamined, problems }) {
      const values = [id, stage, after, paymentsExamined, problems, before.stage, before.after];
      const { rowCount } = await pool.query(ADVANCE, values);
      if (rowCount !== 1) throw new Error('Another worker goes on with this reconciliation');
    },
  };
}

function toReconciliation(row: ReconciliationRow): RecordedReconciliation {
  return {
    id: row.reconciliation_id,
    whole: row.whole,
    startedAt: row.started_at,
    since: row.since ?? undefined,
    progress: {
      stage: row.stage ?? undefined,
      after: row.after_key ?? undefined,
      paymentsExamined: Number(row.payments_examined),
      problems: row.problems,
    },
  };
}
