import type pg from 'pg';

/** Resolves if payments can be written: Postgres answers, is no standby, and has our schema. Writes nothing. */
export async function probeWritable(pool: pg.Pool): Promise<void> {
  const { rows } = await pool.query<{ writable: boolean }>(
    `select current_setting('transaction_read_only') = 'off' as writable from outbox_shards limit 1`,
  );
  if (rows[0]?.writable !== true) throw new Error('Postgres is read-only, or its schema is not complete');
}
