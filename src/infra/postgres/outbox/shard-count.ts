import { type Connection, prepared } from '../statement.ts';

const countShards = prepared<{ shards: number }>('count_shards', 'select count(*)::int as shards from outbox_shards');

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
