import type pg from 'pg';
import type {
  AuditPosition,
  AuditRecords,
  AuditSample,
  AuditStep,
  RecordedStep,
} from '../../../app/reconciliation/ports.ts';
import { timeOfUlid, ulidToUuid, uuidToUlid } from '../../../app/ulid.ts';

/** What audits found, in Postgres. */
export function postgresAuditRecords(pool: pg.Pool): AuditRecords {
  return {
    async rejectFuture(latestId) {
      const { rowCount } = await pool.query(REJECT_FUTURE, [ulidToUuid(latestId)]);
      return rowCount ?? 0;
    },
    last: () => last(pool),
    add: (step, previous) => add(pool, step, previous),
    async confirm(confirmed, missing) {
      await pool.query(CONFIRM, [confirmed.map(ulidToUuid), missing.map(ulidToUuid)]);
    },
    async countUnconfirmed() {
      const { rows } = await pool.query<{ pending: number; missing: number }>(
        `select (count(*) filter (where not missing))::int as pending, (count(*) filter (where missing))::int as missing
         from unconfirmed_events`,
      );
      return rows[0]!;
    },
    async missing(limit) {
      const { rows } = await pool.query<{ payment_id: string }>(
        'select payment_id from unconfirmed_events where missing order by payment_id limit $1',
        [limit],
      );
      return rows.map(({ payment_id }) => uuidToUlid(payment_id));
    },
  };
}

const REJECT_FUTURE = `
  update event_audits set rejected = true where not rejected and (audited_at > now() or audited_to > $1)`;

const LAST = `
  select audit_id, topic, audited_to, offsets::text[] as offsets,
         array(select extract(epoch from since)::float8 * 1000 from unnest(retained_since) with ordinality as retained (since, n)
               order by n) as retained_since_ms
  from event_audits
  where not rejected
  order by audit_id desc
  limit 1`;

interface LastRow {
  audit_id: bigint;
  topic: string;
  audited_to: string;
  offsets: string[];
  retained_since_ms: (number | null)[];
}

async function last(pool: pg.Pool): Promise<RecordedStep | undefined> {
  const { rows } = await pool.query<LastRow>(LAST);
  const [row] = rows;
  if (row === undefined) return undefined;
  const position: AuditPosition = {
    topic: row.topic,
    auditedTo: uuidToUlid(row.audited_to),
    partitions: row.offsets.map((offset, partition) => ({
      offset: BigInt(offset),
      retainedSinceMs: row.retained_since_ms[partition] ?? undefined,
    })),
  };
  return { auditId: row.audit_id, position };
}

const CONFIRM = `
  with confirmed as (delete from unconfirmed_events where payment_id = any ($1::uuid[]))
  update unconfirmed_events set missing = true where payment_id = any ($2::uuid[]) and not missing`;

// One statement, so that a step and what it found are recorded together or not at all.
const ADD = `
  with forgotten as (
    delete from event_audits where audited_at < now() - interval '1 month'
  ), found as (
    insert into unconfirmed_events (payment_id, missing)
    select unnest($9::uuid[]), false union all select unnest($10::uuid[]), true
    on conflict (payment_id) do nothing
  )
  insert into event_audits
    (previous_id, audited_at, topic, audited_to, offsets, retained_since, payments_audited, payments_unverifiable, orphaned)
  select $1::bigint, now(), $2::text, $3::uuid, $4::bigint[],
    array(select to_timestamp(ms / 1000) from unnest($5::float8[]) with ordinality as retained (ms, n) order by n),
    $6::bigint, $7::bigint, $8::text[]
  returning audit_id`;

async function add(pool: pg.Pool, step: AuditStep, previous: RecordedStep | undefined): Promise<RecordedStep> {
  const { topic, auditedTo, partitions } = step.position;
  const { rows } = await pool.query<{ audit_id: bigint }>(ADD, [
    previous?.auditId ?? null,
    topic,
    ulidToUuid(auditedTo),
    partitions.map(({ offset }) => offset),
    partitions.map(({ retainedSinceMs }) => retainedSinceMs ?? null),
    step.paymentsAudited,
    step.unverifiable,
    step.orphaned,
    step.pending.map(ulidToUuid),
    step.missing.map(ulidToUuid),
  ]);
  return { auditId: rows[0]!.audit_id, position: step.position };
}

const SAMPLE = `
  select audited_to,
    (select count(*) from unconfirmed_events where missing)::int as missing,
    (select sum(payments_unverifiable) from event_audits where audited_at > now() - interval '1 day')::int as unverifiable,
    (select count(distinct sentence) from event_audits, unnest(orphaned) as sentence
     where audited_at > now() - interval '1 day')::int as orphaned
  from event_audits
  where not rejected
  order by audit_id desc
  limit 1`;

interface SampleRow {
  audited_to: string;
  missing: number;
  unverifiable: number | null;
  orphaned: number;
}

/** Undefined before the first audit. */
export async function sampleAudits(pool: pg.Pool): Promise<AuditSample | undefined> {
  const { rows } = await pool.query<SampleRow>(SAMPLE);
  const [row] = rows;
  if (row === undefined) return undefined;
  const { audited_to, missing, unverifiable, orphaned } = row;
  return { auditedToMs: timeOfUlid(uuidToUlid(audited_to)), missing, unverifiable: unverifiable ?? 0, orphaned };
}
