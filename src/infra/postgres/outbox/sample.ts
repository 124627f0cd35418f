import type pg from 'pg';
import type { OutboxSample } from '../../../relay/ports.ts';

// Other roles' transactions show only to a role that is a member of pg_read_all_stats.
const SAMPLE = `
  select
    (select count(*) from outbox)::int as pending,
    (select extract(epoch from now() - min(created_at)) from outbox)::float8 as oldest_pending_seconds,
    (select count(*) from outbox_dead_letters)::int as dead_letters,
    (select count(*) from outbox_blocked)::int as blocked,
    (select extract(epoch from now() - least(
       (select min(created_at) from outbox_dead_letters), (select min(created_at) from outbox_blocked))))::float8
       as oldest_blocked_seconds,
    (select extract(epoch from now() - min(xact_start)) from pg_stat_activity
     where backend_type = 'client backend' and pid <> pg_backend_pid())::float8 as oldest_transaction_seconds`;

interface SampleRow {
  pending: number;
  oldest_pending_seconds: number | null;
  dead_letters: number;
  blocked: number;
  oldest_blocked_seconds: number | null;
  oldest_transaction_seconds: number | null;
}

/** Counts the whole outbox: cheap while it is small, which is its normal state. */
export async function sampleOutbox(pool: pg.Pool): Promise<OutboxSample> {
  const { rows } = await pool.query<SampleRow>(SAMPLE);
  const [row] = rows;
  if (row === undefined) throw new Error('Bug! A select without from returned no row');
  return {
    pending: row.pending,
    // Clocks differ: an event may seem to come from the future.
    oldestPendingSeconds: Math.max(0, row.oldest_pending_seconds ?? 0),
    deadLetters: row.dead_letters,
    blocked: row.blocked,
    oldestBlockedSeconds: Math.max(0, row.oldest_blocked_seconds ?? 0),
    oldestTransactionSeconds: Math.max(0, row.oldest_transaction_seconds ?? 0),
  };
}
