import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { PaymentStatus } from '../../src/gen/payment/v1/payment.ts';
import { auditBooks } from '../support/books.ts';
import { statusOf } from '../support/callers.ts';
import { type ApiProcess, createSystem, type System } from '../support/system.ts';

const { PAYMENT_STATUS_AUTHORIZED: AUTHORIZED } = PaymentStatus;

let system: System;
let api: ApiProcess;

beforeAll(async () => {
  system = await createSystem();
  api = await system.startApi();
  await api.client.openFunded('payer', 1_000_000n);
  await api.client.open('payee');
  await api.client.open('stuck');
  await system.database.query(`create function slow() returns trigger language plpgsql as
    $$ begin perform pg_sleep(2); return null; end $$`);
});
afterEach(async () => {
  await system.database.query('drop trigger if exists slow on payments');
  expect(await auditBooks(system.database)).toEqual([]);
});
afterAll(() => system?.close());

const pause = (ms: number) => new Promise((resume) => setTimeout(resume, ms));

function payment(payeeAccountId = 'payee') {
  return { idempotencyKey: crypto.randomUUID(), payerAccountId: 'payer', payeeAccountId, amountCents: 1n };
}

async function isStored(key: string): Promise<boolean> {
  return (await system.database.query('select from idempotency_keys where key = $1', [key])).length > 0;
}

/** Backends of the API that are at work. */
async function atWork(): Promise<number> {
  const sql = `select from pg_stat_activity
    where application_name = 'payment-ledger-api' and datname = current_database() and state <> 'idle'`;
  return (await system.database.query(sql)).length;
}

describe('a payment whose caller has no time left', () => {
  test('does not wait for a locked account, and is not made once that is free', async () => {
    const holder = await system.database.pool.connect();
    const late = payment('stuck');
    try {
      await holder.query('begin');
      await holder.query(`select from account_balances where account_id = 'stuck' for update`);
      expect(await statusOf(api.client.authorize(late, 300))).toBe('DEADLINE_EXCEEDED');
      // A wait for a lock that is stuck would take a second.
      await pause(300);
      expect(await atWork()).toBe(0);
    } finally {
      await holder.query('rollback');
      holder.release();
    }
    await pause(1_000);
    expect(await isStored(late.idempotencyKey)).toBe(false);
    expect((await api.client.authorize(late)).status).toBe(AUTHORIZED);
  });

  test('is stopped in a statement that takes longer, and leaves its key free', async () => {
    await system.database.query('create trigger slow after insert on payments execute function slow()');
    const late = payment();
    expect(await statusOf(api.client.authorize(late, 500))).toBe('DEADLINE_EXCEEDED');
    await expect.poll(atWork).toBe(0);
    expect(await isStored(late.idempotencyKey)).toBe(false);
    await system.database.query('drop trigger slow on payments');
    expect((await api.client.authorize(late)).status).toBe(AUTHORIZED);
  });

  test('does not stop the payments that share its transaction', async () => {
    await system.database.query('create trigger slow after insert on payments execute function slow()');
    // The first one keeps the connection busy while the others gather.
    const first = api.client.authorize(payment());
    await pause(100);
    const late = payment();
    // It is there when the second transaction begins, and gone when that ends.
    const [leaves, stays] = [statusOf(api.client.authorize(late, 3_000)), api.client.authorize(payment(), 20_000)];
    for (const { status } of await Promise.all([first, stays])) expect(status).toBe(AUTHORIZED);
    expect(await leaves).toBe('DEADLINE_EXCEEDED');
    expect((await api.client.authorize(late)).originalStatus).toBe(AUTHORIZED);
  });

  test('is made if its COMMIT was sent, and found under its key', async () => {
    await system.database.query(`create constraint trigger slow after insert on payments
      deferrable initially deferred for each row execute function slow()`);
    const late = payment();
    expect(await statusOf(api.client.authorize(late, 500))).toBe('DEADLINE_EXCEEDED');
    await expect.poll(() => isStored(late.idempotencyKey)).toBe(true);
    await system.database.query('drop trigger slow on payments');
    expect((await api.client.authorize(late)).originalStatus).toBe(AUTHORIZED);
  });
});
