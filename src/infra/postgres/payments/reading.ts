import { ContendedError, databaseUnavailable, TransientError, unavailable } from '../../../app/errors.ts';
import { classify } from '../errors.ts';

/** Runs statements outside a transaction; what fails becomes what Ledger throws. */
export async function reading<T>(query: () => Promise<T>): Promise<T> {
  try {
    return await query();
  } catch (error) {
    const failure = classify(error);
    if (failure instanceof TransientError) throw databaseUnavailable('The database cannot be reached.', failure);
    if (failure instanceof ContendedError) throw unavailable('The account is locked by another transaction.', failure);
    throw failure;
  }
}
