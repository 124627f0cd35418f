import type pg from 'pg';
import type {
  AuditedPayment,
  AuditedPayments,
  AuditPosition,
  AuditRecords,
  AuditSample,
  AuditStep,
  RecordedStep,
} from '../../../app/reconciliation/ports.ts';
import { timeOfUlid, ulidToUuid, uuidToUlid } from '../../../app/ulid.ts';

type PaymentRow = [
  paymentId: string,
  payerAccountId: string,
  eventType: AuditedPayment['eventType'],
  event: AuditedPayment['event'],
  missing: boolean,
];

// What the outbox says of the payments of `page`. One statement is one snapshot: an
// event that moves on meanwhile is seen in one place or in the other.
const WITH_EVENT = `
  select page.payment_id, page.payer_account_id, 'payment.' || lower(page.status::text) || '.v1' as event_type,
    case
      when waiting.id is not null then 'WAITING'
      when discarded.id is not null then 'DISCARDED'
      else 'SENT'
    end as event,
    page.missing
  from page
  left join (
    select id from outbox union select id from outbox_blocked union select id from outbox_dead_letters
  ) waiting on waiting.id = page.payment_id
  left join outbox_discarded discarded on discarded.id = page.payment_id
  order by page.payment_id`;

const PAGE = `
  with page as materialized (
    select payment_id, payer_account_id, status, false as missing from payments
    where payment_id > $1 and payment_id <= $2 order by payment_id limit $3
  ) ${WITH_EVENT}`;

const WITHOUT_PAYMENT = `
  select id from unnest($1::uuid[]) as given (id)
  where not exists (select from payments where payment_id = given.id)`;

/** Payments and their events as Postgres has them. Writes and locks nothing. */
export function postgresAuditedPayments(pool: pg.Pool): AuditedPayments {
  return {
    page: (afterId, toId, limit) => select(pool, PAGE, [ulidToUuid(afterId), ulidToUuid(toId), limit]),
    async now() {
      const { rows } = await pool.query<{ now: Date }>('select clock_timestamp() as now');
      return rows[0]!.now;
    },
    async moreWait(limit) {
      const { rowCount } = await pool.query('select from outbox offset $1 limit 1', [limit]);
      return rowCount === 1;
    },
    async withoutPayment(paymentIds) {
      const { rows } = await pool.query<{ id: string }>(WITHOUT_PAYMENT, [paymentIds.map(ulidToUuid)]);
      return rows.map(({ id }) => uuidToUlid(id));
    },
  };
}

async function select(pool: pg.Pool, text: string, values: unknown[]): Promise<AuditedPayment[]> {
  const { rows } = await pool.query<PaymentRow>({ text, values, rowMode: 'array' });
  return rows.map(([id, payerAccountId, eventType, event, missing]) => ({
    paymentId: uuidToUlid(id),
    payerAccountId,
    eventType,
    event,
    missing,
  }));
}

const UNCONFIRMED = `
  with page as materialized (
    select payment_id, payer_account_id, status, missing from unconfirmed_events join payments using (payment_id)
    where payment_id > $1 order by payment_id limit $2
  ) ${WITH_EVENT}`;

/** What audits found, in Postgres. */
export function postgresAuditRecords(pool: pg.Pool): AuditRecords {
  return {
    async refuseFuture(latestId) {
      const { rowCount } = await pool.query(REFUSE_FUTURE, [ulidToUuid(latestId)]);
      return rowCount ?? 0;
    },
    last: () => last(pool),
    add: (step, previous) => add(pool, step, previous),
    unconfirmed: (afterId, limit) => select(pool, UNCONFIRMED, [ulidToUuid(afterId), limit]),
    async settle(settled, missing) {
      await pool.query(SETTLE, [settled.map(ulidToUuid), missing.map(ulidToUuid)]);
    },
    async countUnconfirmed() {
      const { rows } = await pool.query<{ waiting: number; missing: number }>(
        `select (count(*) filter (where not missing))::int as waiting, (count(*) filter (where missing))::int as missing
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

const REFUSE_FUTURE = `
  update event_audits set refused = true where not refused and (audited_at > now() or audited_to > $1)`;

const LAST = `
  select audit_id, topic, audited_to, offsets::text[] as offsets,
         array(select extract(epoch from since)::float8 * 1000 from unnest(retained_since) with ordinality as held (since, n)
               order by n) as retained_since_ms
  from event_audits
  where not refused
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

const SETTLE = `
  with settled as (delete from unconfirmed_events where payment_id = any ($1::uuid[]))
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
    array(select to_timestamp(ms / 1000) from unnest($5::float8[]) with ordinality as held (ms, n) order by n),
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
    step.waiting.map(ulidToUuid),
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
  where not refused
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
