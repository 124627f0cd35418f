import type pg from 'pg';
import type { IdempotencyKeys } from '../../../app/reconciliation/expire-keys.ts';

// The block-range index leads to the pages that may have old keys. Pages that expiry
// has emptied are filled with new keys, whose ranges then have old and new ones: they
// are read once for each batch.
const EXPIRE = `
  delete from idempotency_keys
  where ctid = any (array(
    select ctid from idempotency_keys where created_at < now() - $1 * interval '1 day' limit $2))`;

export function postgresIdempotencyKeys(pool: pg.Pool): IdempotencyKeys {
  return {
    async expire(retentionDays, limit) {
      return (await pool.query(EXPIRE, [retentionDays, limit])).rowCount ?? 0;
    },
  };
}
