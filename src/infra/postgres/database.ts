import { Kysely, PostgresDialect } from 'kysely';
import type pg from 'pg';
import type { Database } from './tables.ts';

/** Typed queries on the pool, for what is simple or varies and never the hot path. Closing it is left to the pool's owner. */
export function kyselyOn(pool: pg.Pool): Kysely<Database> {
  return new Kysely({ dialect: new PostgresDialect({ pool }) });
}
