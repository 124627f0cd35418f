import type pg from 'pg';

/** What runs a statement: a client inside a transaction, or a pool outside one. */
export type Connection = Pick<pg.ClientBase, 'query'>;

declare const begun: unique symbol;

/** A connection on which BEGIN was sent. Only inTransaction makes one, so a pool does not pass for it. */
export type Transaction = Connection & {
  readonly [begun]: true;
  /** Of the server process behind the connection. */
  readonly processID: number | null;
};

/**
 * A statement that Postgres parses once for each connection, under its name, and
 * from then on only binds and executes. kysely does not name its statements, so
 * those of the hot path are written this way.
 */
export function prepared<Row extends pg.QueryResultRow = never>(name: string, text: string) {
  return async (connection: Connection, values: unknown[]): Promise<pg.QueryResult<Row>> =>
    connection.query<Row>({ name, text, values });
}

/** The same, whose rows come as arrays of their columns: cheaper where there are many rows. */
export function preparedRows<Row extends unknown[]>(name: string, text: string) {
  return async (connection: Connection, values: unknown[]): Promise<Row[]> =>
    (await connection.query<Row>({ name, text, values, rowMode: 'array' })).rows;
}
