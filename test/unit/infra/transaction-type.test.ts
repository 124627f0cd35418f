import type pg from 'pg';
import { expect, test } from 'vitest';
import { claimKeys } from '../../../src/infra/postgres/payments/claim-keys.ts';
import { lockBalances } from '../../../src/infra/postgres/payments/lock-balances.ts';
import { writeChanges } from '../../../src/infra/postgres/payments/write-changes.ts';

// Checked by tsc: should a pool pass for a transaction, the directive has nothing to expect and fails.
function onAPool(pool: pg.Pool, now: Date) {
  // @ts-expect-error
  void claimKeys(pool, [], now);
  // @ts-expect-error
  void lockBalances(pool, []);
  // @ts-expect-error
  void writeChanges(pool, { at: now, decided: [], balances: [] }, 1);
}

test('claiming, locking and writing on a pool do not compile', () => {
  expect(onAPool).toBeTypeOf('function');
});
