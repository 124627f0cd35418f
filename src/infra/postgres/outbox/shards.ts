import type pg from 'pg';

/** One shard of the outbox, as its lease and its events are now. */
export interface ShardStatus {
  readonly shard: number;
  /** The worker that owns it; undefined if nobody does. */
  readonly owner: string | undefined;
  readonly pending: number;
  /** Age of the oldest of them; 0 if there is none. */
  readonly oldestPendingSeconds: number;
}

const SHARDS = `
  select shards.shard,
    case when leased_until > now() then owner end as owner,
    coalesce(events.pending, 0)::int as pending,
    greatest(0, coalesce(extract(epoch from now() - events.oldest), 0))::float8 as oldest
  from outbox_shards shards
  left join (select shard, count(*) as pending, min(created_at) as oldest from outbox group by shard) events using (shard)
  order by shard`;

/** Counts the whole outbox, as sampleOutbox does. */
export async function listShards(pool: pg.Pool): Promise<ShardStatus[]> {
  const { rows } = await pool.query<{ shard: number; owner: string | null; pending: number; oldest: number }>(SHARDS);
  return rows.map(({ shard, owner, pending, oldest }) => ({
    shard,
    owner: owner ?? undefined,
    pending,
    oldestPendingSeconds: oldest,
  }));
}
