import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { inject } from 'vitest';
import { createPool } from '../../src/infra/postgres/pool.ts';
import { applicationAddress } from '../../tools/stack/postgres.ts';
import { createEmptyDatabase, execute } from './empty-database.ts';

export interface TestDatabase {
  readonly url: string;
  /** Connections of the tables' owner, to prepare and to damage. */
  readonly pool: pg.Pool;
  /** Connections of the application role, for the code under test. */
  readonly application: pg.Pool;
  /** Runs SQL as the owner and returns its rows. */
  query<Row extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<Row[]>;
  /** Closes the connections; drops the database if it was created here. */
  close(): Promise<void>;
}

/** A migrated database of the caller's own: a copy of the template takes milliseconds, the migrations do not. */
export async function createDatabase(): Promise<TestDatabase> {
  const serverUrl = inject('databaseUrl');
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  const database = openDatabase(await createEmptyDatabase(serverUrl, name, inject('databaseTemplate')));
  return {
    ...database,
    async close() {
      await database.close();
      await execute(serverUrl, `drop database ${name} with (force)`);
    },
  };
}

/** A database that is there. */
export function openDatabase(url: string): TestDatabase {
  const connect = (connectionString: string) =>
    createPool({ connectionString, max: 5, applicationName: 'test', queryTimeoutMs: 0, onIdleError: () => undefined });
  const pool = connect(url);
  const application = connect(applicationAddress(url));
  return {
    url,
    pool,
    application,
    query: async (text, values) => (await pool.query(text, values)).rows,
    async close() {
      await Promise.all([pool.end(), application.end()]);
    },
  };
}
