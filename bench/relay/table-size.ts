import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { OUTBOX_CHANNEL } from '../../src/infra/redis/channels.ts';
import type { BenchDatabase } from '../database.ts';
import { append, countPending, eventOf } from './events.ts';

export interface TableSize {
  readonly publishedRows: number;
  /** The most that table and index had meanwhile: vacuum gives room back now and then. */
  readonly bytes: number;
}

/** Rows in one transaction. */
const BATCH = 200;
/** The writer waits while more are in the outbox: it is to be as fast as the relay, not faster. */
const MOST_PENDING = 2_000;

/** How large the outbox becomes while so many rows, rising numbers, go through it. */
export async function measureTableSize(
  database: BenchDatabase,
  redis: Redis,
  marks: readonly number[],
  onProgress: (rows: number) => void,
): Promise<TableSize[]> {
  const sizes: TableSize[] = [];
  let written = 0;
  let bytes = 0;
  for (const mark of marks) {
    while (written < mark) {
      await append(
        database,
        Array.from({ length: BATCH }, (_, n) => eventOf(written + n)),
      );
      await redis.publish(OUTBOX_CHANNEL, '');
      written += BATCH;
      if (written % (BATCH * 5) === 0) {
        while ((await countPending(database)) > MOST_PENDING) await sleep(5);
        bytes = Math.max(bytes, await sizeOf(database));
      }
      if (written % 100_000 === 0) onProgress(written);
    }
    while ((await countPending(database)) > 0) await sleep(20);
    sizes.push({ publishedRows: written, bytes });
  }
  return sizes;
}

async function sizeOf({ client }: BenchDatabase): Promise<number> {
  const { rows } = await client.query<{ bytes: number }>("select pg_total_relation_size('outbox')::int as bytes");
  return rows[0]!.bytes;
}
