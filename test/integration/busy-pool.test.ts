import { afterAll, beforeAll, expect, test } from 'vitest';
import { postgresLedger } from '../../src/infra/postgres/payments/ledger.ts';
import { createPool } from '../../src/infra/postgres/pool.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

const PAYMENT = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.close());

const poolOf = (connectionString: string) =>
  createPool({ connectionString, max: 1, applicationName: 'test', queryTimeoutMs: 0, onIdleError: () => undefined });

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

test('a database that is not there is UNAVAILABLE', async () => {
  // Port 9 of loopback: nobody answers there.
  const pool = poolOf('postgres://ledger:ledger@127.0.0.1:9/payment_ledger');
  await expect(postgresLedger(pool).findPayment(PAYMENT)).rejects.toMatchObject({ problem: { kind: 'UNAVAILABLE' } });
  await pool.end();
});
