import pg from 'pg';
import { ContendedError, databaseUnavailable, ServiceError, TransientError, unavailable } from '../../app/errors.ts';

// https://www.postgresql.org/docs/current/errcodes-appendix.html
const SERIALIZATION_FAILURE = '40001';
const DEADLOCK_DETECTED = '40P01';
const LOCK_NOT_AVAILABLE = '55P03';
const QUERY_CANCELED = '57014';
/** Class 08 is a broken connection, 57P a server that stops or starts, 25P a session it gave up. */
const CONNECTION_LOST = /^(08...|57P0[1-5]|25P0[34])$/;
/** Class 53 is a server that is full, 58 one whose disk fails, 28 one that rejects our login; 25006 is read-only: a standby. */
const OUT_OF_SERVICE = /^(53...|58...|28...|25006)$/;

/** What a failure of Postgres means to the service. An error of our own code is returned as it is. */
export function classify(error: unknown): unknown {
  if (isPoolExhausted(error)) {
    // Nothing was sent, and the database may be well: it is we who have too much to do.
    const problem = { kind: 'OVERLOADED', retryAfterMs: 1_000 } as const;
    return new ServiceError(problem, 'All connections to the database are busy.', { cause: error });
  }
  if (isConnectionLoss(error)) return new TransientError('The connection to Postgres was lost', { cause: error });
  if (!(error instanceof pg.DatabaseError)) return error;
  switch (error.code) {
    case SERIALIZATION_FAILURE:
    case DEADLOCK_DETECTED:
      return new TransientError('Postgres asks to run the transaction again', { cause: error });
    case LOCK_NOT_AVAILABLE:
      return new ContendedError('A lock was not granted in time', { cause: error });
    case QUERY_CANCELED:
      return unavailable('The database takes too long.', error);
    default:
      return isOutOfService(error) ? databaseUnavailable('The database does not accept writes now.', error) : error;
  }
}

/** Whether no connection of the pool became free in time. A new one that cannot be opened fails with another message. */
function isPoolExhausted(error: unknown): boolean {
  return error instanceof Error && error.message === 'timeout exceeded when trying to connect';
}

/** Whether the connection is gone, so that what was sent last may or may not have taken hold. */
export function isConnectionLoss(error: unknown): boolean {
  // Node tries each address of a host, and throws what all of them said.
  if (error instanceof AggregateError) return error.errors.some(isConnectionLoss);
  if (!(error instanceof Error)) return false;
  if (error instanceof pg.DatabaseError) return CONNECTION_LOST.test(error.code ?? '');
  if ('syscall' in error && 'code' in error) return true;
  // pg tells these apart by their text only.
  return /^(Connection terminated|Client has encountered a connection error|Client was closed|Query read timeout|Cannot use a pool after calling end)/.test(
    error.message,
  );
}

/** Whether the server cannot do its work at present. Another connection may reach one that can. */
export function isOutOfService(error: unknown): boolean {
  return error instanceof pg.DatabaseError && OUT_OF_SERVICE.test(error.code ?? '');
}
