import { ulidToUUID } from 'ulid';
import { shardOf } from '../../../app/domain/shard.ts';
import type { OutboxEvent } from '../../../app/ports.ts';
import { type Connection, prepared } from '../statement.ts';

const insert = prepared(
  'insert_events',
  // Positions are drawn in the order of the list, which is that of the payments.
  `insert into outbox (shard, id, aggregatetype, aggregateid, type, payload, headers, created_at)
   select shard, id, 'payment', aggregateid, type, payload, headers, created_at
   from unnest($1::smallint[], $2::uuid[], $3::text[], $4::text[], $5::jsonb[], $6::jsonb[], $7::timestamptz[])
     with ordinality as event (shard, id, aggregateid, type, payload, headers, created_at, arrival)
   order by arrival`,
);

const countShards = prepared<{ shards: number }>('count_shards', 'select count(*)::int as shards from outbox_shards');

/** Inserts events in their order. The payers' balances must be locked: that is what keeps a payer's events in order. */
export async function insertEvents(
  connection: Connection,
  events: readonly OutboxEvent[],
  shards: number,
): Promise<void> {
  await insert(connection, [
    events.map(({ payerAccountId }) => shardOf(payerAccountId, shards)),
    events.map(({ eventId }) => ulidToUUID(eventId)),
    events.map(({ payerAccountId }) => payerAccountId),
    events.map(({ type }) => type),
    events.map(({ payload }) => JSON.stringify(payload)),
    events.map(({ traceparent }) => JSON.stringify({ traceparent })),
    events.map(({ createdAt }) => createdAt),
  ]);
}

/**
 * How many shards the outbox has; read once, since a running system cannot change
 * it. A failed read is tried again by the next caller.
 */
export function shardCount(connection: Connection): () => Promise<number> {
  let known: Promise<number> | undefined;
  return () => {
    known ??= countShards(connection, []).then(
      ({ rows }) => rows[0]!.shards,
      (error) => {
        known = undefined;
        throw error;
      },
    );
    return known;
  };
}
