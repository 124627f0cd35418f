import type pg from 'pg';

/** What runs a statement: a client inside a transaction, or a pool outside one. */
export type Connection = Pick<pg.ClientBase, 'query'>;

/**
 * A statement that Postgres parses once for each connection, under its name, and
 * from then on only binds and executes. kysely does not name its statements, so
 * those of the hot path are written this way.
 */
export function prepared<Row extends pg.QueryResultRow = never>(name: string, text: string) {
  return async (connection: Connection, values: unknown[]): Promise<pg.QueryResult<Row>> =>
    connection.query<Row>({ name, text, values });
}
