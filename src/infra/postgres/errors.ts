import pg from 'pg';
import { TransientError, unavailable } from '../../app/errors.ts';

// https://www.postgresql.org/docs/current/errcodes-appendix.html
const SERIALIZATION_FAILURE = '40001';
const DEADLOCK_DETECTED = '40P01';
const LOCK_NOT_AVAILABLE = '55P03';
const QUERY_CANCELED = '57014';

/** A transaction that Postgres gave up may run again; everything else stays what it is. */
export function classify(error: unknown): unknown {
  if (isConnectionLoss(error)) return new TransientError('The connection to Postgres was lost', { cause: error });
  if (!(error instanceof pg.DatabaseError)) return error;
  switch (error.code) {
    case SERIALIZATION_FAILURE:
    case DEADLOCK_DETECTED:
      return new TransientError('Postgres asks to run the transaction again', { cause: error });
    case LOCK_NOT_AVAILABLE:
    case QUERY_CANCELED:
      return unavailable('The database takes too long.', error);
    default:
      return error;
  }
}

/** Whether the connection is gone, so that what was sent last may or may not have taken hold. */
export function isConnectionLoss(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  // Class 08 is a broken connection, 57P01 to 57P03 a server that stops or starts, 53300 one that is full.
  if (error instanceof pg.DatabaseError) return /^(08...|57P0[123]|53300)$/.test(error.code ?? '');
  if ('syscall' in error && 'code' in error) return true;
  // pg tells these apart by their text only.
  return /^(Connection terminated|Client has encountered a connection error|Client was closed|Query read timeout|timeout exceeded when trying to connect)/.test(
    error.message,
  );
}
