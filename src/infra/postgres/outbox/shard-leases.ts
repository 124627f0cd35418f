import type pg from 'pg';
import type { Lease, LeaseView, ShardLeases } from '../../../relay/ports.ts';

/** Leases in Postgres, by its clock: workers' clocks need not agree. Each method is one statement. */
export function postgresShardLeases(pool: pg.Pool): ShardLeases {
  return {
    renew: (workerId, leaseMs) => renew(pool, workerId, leaseMs),
    claim: (workerId, leaseMs, count) => claim(pool, workerId, leaseMs, count),
    release: (workerId, leases) => release(pool, workerId, leases),
    leave: async (workerId) => {
      await pool.query('delete from relay_workers where worker_id = $1', [workerId]);
    },
  };
}

// A worker counts as alive for as long as its leases last, so that its shards fall
// free and its share goes to the others at the same moment. Sorted bytewise, the list
// is the same in every worker.
const RENEW = `
  with term as (
    select make_interval(secs => $2::float8 / 1000) as length
  ), me as (
    insert into relay_workers (worker_id, seen_at) values ($1, now())
    on conflict (worker_id) do update set seen_at = excluded.seen_at
  ), gone as (
    delete from relay_workers using term where seen_at < now() - 10 * length and worker_id <> $1
  ), renewed as (
    update outbox_shards set leased_until = now() + length from term where owner = $1 returning shard, epoch
  )
  select
    array(select shard from renewed order by shard) as shards_owned,
    array(select epoch::text from renewed order by shard) as epochs_owned,
    array(
      select worker_id from (
        select worker_id from relay_workers, term where seen_at > now() - length union select $1
      ) alive order by worker_id collate "C"
    ) as workers,
    (select count(*) from outbox_shards)::int as shards,
    (select count(*) from outbox_shards where leased_until < now() and owner is distinct from $1)::int as unowned`;

interface RenewRow {
  shards_owned: number[];
  epochs_owned: string[];
  workers: string[];
  shards: number;
  unowned: number;
}

async function renew(pool: pg.Pool, workerId: string, leaseMs: number): Promise<LeaseView> {
  const { rows } = await pool.query<RenewRow>(RENEW, [workerId, leaseMs]);
  const [row] = rows;
  if (row === undefined) throw new Error('Bug! A select without from returned no row');
  return {
    owned: row.shards_owned.map((shard, index) => ({ shard, epoch: BigInt(row.epochs_owned[index]!) })),
    workers: row.workers,
    shards: row.shards,
    unowned: row.unowned,
  };
}

// Skips shards that another worker is claiming at the same moment.
const CLAIM = `
  update outbox_shards
  set owner = $1, epoch = epoch + 1, leased_until = now() + make_interval(secs => $2::float8 / 1000)
  where shard in (
    select shard from outbox_shards where leased_until < now() order by shard limit $3 for update skip locked
  )
  returning shard, epoch`;

async function claim(pool: pg.Pool, workerId: string, leaseMs: number, count: number): Promise<Lease[]> {
  const { rows } = await pool.query<Lease>(CLAIM, [workerId, leaseMs, count]);
  return rows;
}

// The epoch is raised here too, so that a write which comes late is rejected even
// before another worker claims the shard.
const RELEASE = `
  update outbox_shards shards
  set owner = null, epoch = shards.epoch + 1, leased_until = '-infinity'
  from unnest($2::smallint[], $3::bigint[]) as mine (shard, epoch)
  where shards.shard = mine.shard and shards.epoch = mine.epoch and shards.owner = $1`;

async function release(pool: pg.Pool, workerId: string, leases: readonly Lease[]): Promise<void> {
  await pool.query(RELEASE, [workerId, leases.map(({ shard }) => shard), leases.map(({ epoch }) => epoch)]);
}
