import type pg from 'pg';
import { createPool, type PoolSettings } from './pool.ts';

export interface ApiPools {
  readonly payments: pg.Pool;
  /** Whatever else is asked for in whatever number, payments have their connections to themselves. */
  readonly reads: pg.Pool;
  /** One connection: a pool that is busy is not a database that is gone. */
  readonly health: pg.Pool;
}

/** The API's connections; so many at most for payments and for reads. */
export function apiPools(
  settings: Pick<PoolSettings, 'connectionString' | 'onIdleError'>,
  most: { readonly payments: number; readonly reads: number },
): ApiPools {
  const shared = { ...settings, applicationName: 'payment-ledger-api' };
  const patience = {
    // No payment takes seconds: one that does waits for somebody who is stuck, and its caller is better told.
    serverTimeouts: { statement: 5_000, lock: 1_000, idleInTransaction: 5_000 },
    // Longer, for what Postgres ends by itself leaves nothing behind there.
    queryTimeoutMs: 10_000,
  };
  return {
    // One for each slot, and one to look at who keeps a lock: a moment when that is asked is a bad one to open it.
    payments: createPool({ ...shared, ...patience, max: most.payments, keepOpen: 3 }),
    reads: createPool({ ...shared, ...patience, max: most.reads, keepOpen: most.reads }),
    health: createPool({ ...shared, max: 1, queryTimeoutMs: 1_000 }),
  };
}
