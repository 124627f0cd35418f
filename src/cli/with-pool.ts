import type pg from 'pg';
import { createPool } from '../infra/postgres/pool.ts';

/** A statement that is not answered for so long has failed. */
const QUERY_TIMEOUT_MS = 60_000;

/** Lends a pool of one connection, and closes it whatever becomes of its use. A time limit of 0 is none. */
export async function withPool<T>(
  databaseUrl: string,
  command: string,
  use: (pool: pg.Pool) => Promise<T>,
  queryTimeoutMs = QUERY_TIMEOUT_MS,
): Promise<T> {
  const pool = createPool({
    connectionString: databaseUrl,
    max: 1,
    applicationName: `payment-ledger-${command}`,
    queryTimeoutMs,
    onIdleError: (error) => console.error(error.message),
  });
  try {
    return await use(pool);
  } finally {
    await pool.end();
  }
}
