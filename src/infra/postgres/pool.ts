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
  /** How many of them stay open though they are idle; none unless it is given. */
  readonly keepOpen?: number;
  /** How long to wait for a connection; two seconds unless it is given, so that callers hear of it while a retry still helps. */
  readonly connectTimeoutMs?: number;
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
 * A pool whose clients read int8 as bigint and never wait for ever, neither for a
 * connection nor for an answer.
 */
export function createPool({
  connectionString,
  max,
  keepOpen = 0,
  connectTimeoutMs = 2_000,
  applicationName,
  queryTimeoutMs,
  serverTimeouts,
  onIdleError,
}: PoolSettings): pg.Pool {
  const pool = new pg.Pool({
    connectionString,
    max,
    min: keepOpen,
    application_name: applicationName,
    connectionTimeoutMillis: connectTimeoutMs,
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

/**
 * Opens the connections that are kept. Whoever comes with thousands of others would else wait until this process, which
 * is busy with them, has opened one, and might be told that the database is unreachable. Those that cannot be opened
 * now are opened when they are needed.
 */
export async function openKept(pool: pg.Pool): Promise<void> {
  const opening = Array.from({ length: pool.options.min ?? 0 }, () => pool.connect());
  for (const each of await Promise.allSettled(opening)) if (each.status === 'fulfilled') each.value.release();
}

function getTypeParser(oid: number, format?: 'text' | 'binary') {
  return oid === pg.types.builtins.INT8 ? BigInt : pg.types.getTypeParser(oid, format);
}
