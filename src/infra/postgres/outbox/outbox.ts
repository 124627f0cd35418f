import type pg from 'pg';
import { uuidToUlid } from '../../../app/ulid.ts';
import type { Acknowledged, Lease, Outbox, PageLimits, PendingEvent, ShardPage } from '../../../relay/ports.ts';
import { plainArray } from '../array.ts';

/** The outbox in Postgres. No session state: every statement may run on another connection. */
export function postgresOutbox(pool: pg.Pool): Outbox {
  return {
    read: (pages, limits) => read(pool, pages, limits),
    remove: (published) => remove(pool, published),
    deadLetter: (lease, event, reason) => deadLetter(pool, lease, event, reason),
    block: (lease, events) => block(pool, lease, events),
    vacuum: async () => {
      await pool.query('vacuum (skip_locked) outbox');
    },
  };
}

// The running sum stops a page at max_bytes, so memory is bounded whatever the
// events' size. Dead letters are few: looking one up for each event costs little.
//
// The lowest rows are taken along the index first: as many as the page has room for and
// those to leave out. Only then are they filtered. The planner expects a long "<> all" to
// leave next to nothing, and would sort the whole shard for every page. "(select $5)"
// hides from it how many rows are taken: without statistics of a new backlog it expects
// few rows in a shard, and would sort the whole shard just as well.
const READ = `
  select e.shard, e.position, e.id, e.aggregateid, e.type, e.subject, e.payload, e.headers,
         extract(epoch from e.created_at)::float8 * 1000 as created_at_ms,
         exists (select from outbox_dead_letters d where d.shard = e.shard and d.aggregateid = e.aggregateid) as blocked
  from unnest($1::smallint[]) as page (shard)
  cross join lateral (
    select *, sum(octet_length(payload)) over (order by position) - octet_length(payload) as bytes_before
    from (
      select shard, position, id, aggregateid, type, payload::text as payload, headers, created_at,
             coalesce(payload ->> 'paymentId', payload ->> 'accountId') as subject
      from (select * from outbox where outbox.shard = page.shard order by position limit (select $5::bigint)) lowest
      where id <> all ($2::uuid[])
      order by position
      limit $3
    ) left_over
  ) e
  where e.bytes_before < $4`;

type Row = [number, bigint, string, string, string, string | null, string, Record<string, unknown>, number, boolean];

async function read(pool: pg.Pool, pages: readonly ShardPage[], limits: PageLimits): Promise<PendingEvent[]> {
  const shards = pages.map(({ shard }) => shard);
  const except = plainArray(pages.flatMap((page) => page.except));
  const mostLeftOut = Math.max(0, ...pages.map((page) => page.except.length));
  const values = [shards, except, limits.maxEvents, limits.maxBytes, limits.maxEvents + mostLeftOut];
  const { rows } = await pool.query<Row>({ text: READ, values, rowMode: 'array' });
  const events = rows.map(([shard, position, id, key, type, subject, payload, headers, createdAtMs, blocked]) => ({
    shard,
    position,
    eventId: uuidToUlid(id),
    uuid: id,
    key,
    type,
    subject: subject ?? undefined,
    payload,
    headers: textOnly(headers),
    createdAt: new Date(createdAtMs),
    blocked,
  }));
  // They come in this order by all experience. Postgres, asked for it, would sort them
  // with their payloads, for many shards by way of a file.
  return events.sort(byPosition);
}

function byPosition(one: PendingEvent, other: PendingEvent): number {
  if (one.shard !== other.shard) return one.shard - other.shard;
  return one.position < other.position ? -1 : 1;
}

/** A header's value is text; anything else in the column is not for Kafka. */
function textOnly(headers: Record<string, unknown>): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const name in headers) {
    const value = headers[name];
    if (typeof value === 'string') kept[name] = value;
  }
  return kept;
}

// Whoever claims a shard raises its epoch, so an epoch that is still current proves
// that nobody else has published from it since. A position may have gone to another event
// (see OutboxRow), hence the id.
const REMOVE = `
  with published as materialized (
    select done.shard, done.position, done.id
    from unnest($1::smallint[], $2::bigint[], $3::bigint[], $4::uuid[]) as done (shard, epoch, position, id)
    join outbox_shards using (shard, epoch)
  ), removed as (
    delete from outbox using published
    where outbox.shard = published.shard and outbox.position = published.position and outbox.id = published.id
  )
  select distinct shard from published`;

async function remove(pool: pg.Pool, published: readonly Acknowledged[]): Promise<ReadonlySet<number>> {
  const shards: number[] = [];
  const epochs: bigint[] = [];
  const positions: bigint[] = [];
  const ids: string[] = [];
  for (const { lease, events } of published) {
    for (const { position, uuid } of events) {
      shards.push(lease.shard);
      epochs.push(lease.epoch);
      positions.push(position);
      ids.push(uuid);
    }
  }
  const { rows } = await pool.query<{ shard: number }>(REMOVE, [shards, epochs, positions, ids].map(plainArray));
  return new Set(rows.map(({ shard }) => shard));
}

// The lock on the shard makes a claim wait: either the new owner sees the dead
// letter when it reads, or the claim came first and nothing is written here.
const DEAD_LETTER = `
  with fence as materialized (
    select shard from outbox_shards where shard = $1 and epoch = $2 for share
  ), rejected as (
    delete from outbox using fence
    where outbox.shard = fence.shard and outbox.position = $3 and outbox.id = $5 returning outbox.*
  ), dead as (
    insert into outbox_dead_letters
      (shard, position, id, aggregatetype, aggregateid, type, payload, headers, created_at, reason)
    select shard, position, id, aggregatetype, aggregateid, type, payload, headers, created_at, $4 from rejected
  )
  select from fence`;

async function deadLetter(pool: pg.Pool, lease: Lease, event: PendingEvent, reason: string): Promise<boolean> {
  const { rowCount } = await pool.query(DEAD_LETTER, [lease.shard, lease.epoch, event.position, reason, event.uuid]);
  return rowCount === 1;
}

// The dead letters are locked as well: redriving or discarding one waits, and then
// finds what was put aside here; or it came first, and its key's events stay.
const BLOCK = `
  with fence as materialized (
    select shard from outbox_shards where shard = $1 and epoch = $2 for share
  ), letters as materialized (
    select shard, aggregateid from outbox_dead_letters join fence using (shard)
    where aggregateid = any ($4::text[]) for share of outbox_dead_letters
  ), later as (
    delete from outbox using letters
    where outbox.shard = letters.shard and outbox.position = any ($3::bigint[])
      and outbox.aggregateid = letters.aggregateid
    returning outbox.*
  )
  insert into outbox_blocked (shard, position, id, aggregatetype, aggregateid, type, payload, headers, created_at)
  select shard, position, id, aggregatetype, aggregateid, type, payload, headers, created_at from later`;

async function block(pool: pg.Pool, lease: Lease, events: readonly PendingEvent[]): Promise<void> {
  const positions = events.map(({ position }) => position);
  const keys = [...new Set(events.map(({ key }) => key))];
  await pool.query(BLOCK, [lease.shard, lease.epoch, positions, keys]);
}
