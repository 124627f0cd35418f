import pg from 'pg';

/** In milliseconds. Sent when a connection is opened; PgBouncer has to be told to let them pass. */
export interface ServerTimeouts {
  readonly statement: number;
  /** For each lock. */
  readonly lock: number;
  /** For a transaction whose client says nothing: one that froze or vanished must not keep its locks. */
  readonly idleInTransaction: number;
}

export interface PoolSettings {
  readonly connectionString: string;
  /** The most connections at a time. */
  readonly max: number;
  /** Shown in pg_stat_activity. */
  readonly applicationName: string;
  /**
   * How long a query may go unanswered before its connection is given up, in
   * milliseconds: for a server that vanished without a word. 0 is for ever.
   */
  readonly queryTimeoutMs: number;
  /** Time limits that the server enforces; left out, its own settings apply. */
  readonly serverTimeouts?: ServerTimeouts;
  /** Told of connections that broke while idle; the pool replaces them by itself. */
  readonly onIdleError: (error: Error) => void;
}

/**
 * A pool whose clients read int8 as bigint and never wait for ever: two seconds for a
 * connection, so that callers are told to come again while a retry still helps them.
 */
export function createPool({
  connectionString,
  max,
  applicationName,
  queryTimeoutMs,
  serverTimeouts,
  onIdleError,
}: PoolSettings): pg.Pool {
  const pool = new pg.Pool({
    connectionString,
    max,
    application_name: applicationName,
    connectionTimeoutMillis: 2_000,
    query_timeout: queryTimeoutMs,
    ...(serverTimeouts && {
      statement_timeout: serverTimeouts.statement,
      lock_timeout: serverTimeouts.lock,
      idle_in_transaction_session_timeout: serverTimeouts.idleInTransaction,
    }),
    keepAlive: true,
    // Queries that were issued without waiting for the one before travel together.
    pipeline: true,
    types: { getTypeParser },
  } as pg.PoolConfig);
  pool.on('error', onIdleError);
  return pool;
}

function getTypeParser(oid: number, format?: 'text' | 'binary') {
  return oid === pg.types.builtins.INT8 ? BigInt : pg.types.getTypeParser(oid, format);
}
