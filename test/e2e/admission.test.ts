import { type ServiceError, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PaymentStatus } from '../../src/gen/payment/v1/payment.ts';
import type { LedgerClient } from '../../tools/client.ts';
import { errorDetails } from '../support/error-details.ts';
import { createSystem, type System } from '../support/system.ts';

const OPENINGS = 1_000;
const MAX_QUEUE = 6;

let system: System;
let client: LedgerClient;

beforeAll(async () => {
  system = await createSystem();
  const api = await system.startApi({ OPEN_ACCOUNT_MAX_QUEUE: String(MAX_QUEUE), READ_MAX_QUEUE: String(MAX_QUEUE) });
  client = api.client;
  await client.openFunded('payer', 1_000_000n);
  await client.open('payee');
});
afterAll(() => system.close());

/** Runs the work while a transaction of somebody else's keeps the table locked in the mode. */
async function whileLocked<T>(table: string, mode: string, work: () => Promise<T>): Promise<T> {
  const other = await system.database.pool.connect();
  try {
    await other.query(`begin; lock table ${table} in ${mode} mode`);
    return await work();
  } finally {
    await other.query('rollback');
    other.release();
  }
}

/** How the calls ended: the gRPC status of each. Those that may be made again say when. */
async function endings(calls: readonly Promise<unknown>[]): Promise<status[]> {
  return Promise.all(
    calls.map((call) =>
      call.then(
        () => status.OK,
        (error: ServiceError) => {
          expect(errorDetails(error).retryInfo?.retryDelay, error.message).toBeDefined();
          expect(error.message).not.toMatch(/reach/);
          return error.code;
        },
      ),
    ),
  );
}

const openings = (prefix: string) => Array.from({ length: OPENINGS }, (_, n) => client.open(`${prefix}-${n}`));

const pay = () => client.authorize({ payerAccountId: 'payer', payeeAccountId: 'payee', amountCents: 1n });

test('an API has its connections before the first flood', async () => {
  await system.startApi({ READ_POOL_SIZE: '7' });
  const [{ sessions }] = (await system.database.query<{ sessions: number }>(
    `select count(*)::int as sessions from pg_stat_activity
     where datname = current_database() and application_name = 'payment-ledger-api'`,
  )) as [{ sessions: number }];
  // Two for payments each, and those for reads of this one and of the one above; health's may be there or not.
  expect(sessions).toBeGreaterThanOrEqual(2 + 7 + 2 + 4);
});

test('a flood of openings that are stuck delays neither payments nor reads, and is told to come again', async () => {
  // Inserts of accounts wait for it; payments, which only look at accounts, do not.
  const { paid, ended } = await whileLocked('accounts', 'share row exclusive', async () => {
    const opened = endings(openings('stuck'));
    const answers = [];
    for (let n = 0; n < 20; n++) {
      const { paymentId, status: outcome } = await pay();
      answers.push(outcome, (await client.payment(paymentId))?.status);
    }
    return { paid: answers, ended: await opened };
  });
  expect(new Set(paid)).toEqual(new Set([PaymentStatus.PAYMENT_STATUS_AUTHORIZED]));
  // The others waited for the lock as long as a transaction may.
  expect(new Set(ended)).toEqual(new Set([status.RESOURCE_EXHAUSTED, status.UNAVAILABLE]));
  expect(ended.filter((code) => code === status.RESOURCE_EXHAUSTED).length).toBeGreaterThan(OPENINGS / 2);
});

test('a flood of openings opens what it can, and turns away the rest', async () => {
  const ended = await endings(openings('flood'));
  expect(new Set(ended)).toEqual(new Set([status.OK, status.RESOURCE_EXHAUSTED]));
  const [{ opened }] = (await system.database.query<{ opened: number }>(
    `select count(*)::int as opened from accounts where account_id like 'flood-%'`,
  )) as [{ opened: number }];
  expect(opened).toBe(ended.filter((code) => code === status.OK).length);
});

test('reads are bounded too', async () => {
  const { paymentId } = await pay();
  const ended = await whileLocked('payments', 'access exclusive', () =>
    endings(Array.from({ length: 1_000 }, () => client.payment(paymentId))),
  );
  expect(ended).toContain(status.RESOURCE_EXHAUSTED);
  expect((await client.payment(paymentId))?.paymentId).toBe(paymentId);
});
