import type { Connection } from '../statement.ts';

/** How many shards the outbox has, and so how many partitions the topic must have. */
export async function countShards(connection: Connection): Promise<number> {
  const { rows } = await connection.query<{ shards: number }>('select count(*)::int as shards from outbox_shards');
  return rows[0]!.shards;
}

/**
 * The same, read once, since a running system cannot change it. A failed read is tried
 * again by the next caller.
 */
export function shardCount(connection: Connection): () => Promise<number> {
  let known: Promise<number> | undefined;
  return () => {
    known ??= countShards(connection).catch((error: unknown) => {
      known = undefined;
      throw error;
    });
    return known;
  };
}
