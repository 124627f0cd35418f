import { afterAll, beforeAll, expect, test } from 'vitest';
import { postgresLedger } from '../../src/infra/postgres/payments/ledger.ts';
import { PostgresUnitOfWork } from '../../src/infra/postgres/payments/unit-of-work.ts';
import { createPool, openKept } from '../../src/infra/postgres/pool.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

const PAYMENT = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.close());

const poolOf = (connectionString: string, { max = 1, keepOpen = 0 } = {}) =>
  createPool({
    connectionString,
    max,
    keepOpen,
    applicationName: 'test',
    queryTimeoutMs: 0,
    onIdleError: () => undefined,
  });

test('a pool whose connections are all busy is OVERLOADED, and does not say that the database is unreachable', async () => {
  const pool = poolOf(database.url);
  const busy = await pool.connect();
  try {
    const failure = await postgresLedger(pool)
      .findPayment(PAYMENT)
      .catch((error) => error);
    expect(failure).toMatchObject({
      problem: { kind: 'OVERLOADED', retryAfterMs: expect.any(Number) },
      message: 'All connections to the database are busy.',
    });
  } finally {
    busy.release();
  }
  expect(await postgresLedger(pool).findPayment(PAYMENT)).toBeUndefined();
  await pool.end();
});

test('a payment that is about to be sorted out by its locks is UNAVAILABLE then, as it may have been tried before', async () => {
  const pool = poolOf(database.url);
  const busy = await pool.connect();
  try {
    const looking = new PostgresUnitOfWork(pool, async () => 1).keptLocks([{ name: 'account a', accountId: 'a' }]);
    await expect(looking).rejects.toMatchObject({ problem: { kind: 'UNAVAILABLE' } });
  } finally {
    busy.release();
  }
  await pool.end();
});

test('a database that is not there is UNAVAILABLE', async () => {
  // Port 9 of loopback: nobody answers there.
  const pool = poolOf('postgres://ledger:ledger@127.0.0.1:9/payment_ledger');
  await expect(postgresLedger(pool).findPayment(PAYMENT)).rejects.toMatchObject({ problem: { kind: 'UNAVAILABLE' } });
  await pool.end();
});

test('connections that are kept are open before the first call, where they can be, and stay open', async () => {
  const pool = poolOf(database.url, { max: 3, keepOpen: 2 });
  await openKept(pool);
  expect(pool).toMatchObject({ totalCount: 2, idleCount: 2 });
  const busy = await Promise.all(Array.from({ length: 3 }, () => pool.connect()));
  for (const client of busy) client.release();
  // The one too many goes after some ten idle seconds.
  await expect.poll(() => pool.totalCount).toBe(2);
  await pool.end();

  const unreachable = poolOf('postgres://ledger:ledger@127.0.0.1:9/payment_ledger', { keepOpen: 1 });
  await openKept(unreachable);
  expect(unreachable.totalCount).toBe(0);
  await unreachable.end();
});
