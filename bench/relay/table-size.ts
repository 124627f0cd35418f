import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { OUTBOX_CHANNEL } from '../../src/app/relay-ports.ts';
import type { BenchDatabase } from '../database.ts';
import { append, countPending, eventOf } from './events.ts';

export interface TableSize {
  readonly publishedRows: number;
  /** Table and index. */
  readonly bytes: number;
}

/** Rows in one transaction. */
const BATCH = 200;
/** The writer waits while more are in the outbox: it is to be as fast as the relay, not faster. */
const MOST_PENDING = 2_000;

/** How large the outbox is when so many rows, rising numbers, have gone through it. */
export async function measureTableSize(
  database: BenchDatabase,
  redis: Redis,
  marks: readonly number[],
  onProgress: (rows: number) => void,
): Promise<TableSize[]> {
  const sizes: TableSize[] = [];
  let written = 0;
  for (const mark of marks) {
    while (written < mark) {
      await append(
        database,
        Array.from({ length: BATCH }, (_, n) => eventOf(written + n)),
      );
      await redis.publish(OUTBOX_CHANNEL, '');
      written += BATCH;
      if (written % (BATCH * 5) === 0) while ((await countPending(database)) > MOST_PENDING) await sleep(5);
      if (written % 100_000 === 0) onProgress(written);
    }
    while ((await countPending(database)) > 0) await sleep(20);
    const { rows } = await database.client.query<{ bytes: number }>(
      "select pg_total_relation_size('outbox')::int as bytes",
    );
    sizes.push({ publishedRows: written, bytes: rows[0]!.bytes });
  }
  return sizes;
}
