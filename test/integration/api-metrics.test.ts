import { randomUUID } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import packageJson from '../../package.json' with { type: 'json' };
import { scrape, shown } from '../support/metrics.ts';
import { type ApiProcess, createSystem, type System } from '../support/system.ts';

let system: System;
let api: ApiProcess;
let metricsAddress: string;

beforeAll(async () => {
  system = await createSystem();
  api = await system.startApi({ DATABASE_POOL_SIZE: '8', READ_POOL_SIZE: '4' });
  metricsAddress = String(api.ready['metricsAddress']);
  await api.client.openFunded('rich', 1_000_000n);
  await api.client.open('poor');
  await api.client.open('dollars', { currency: 'USD' });
});
afterAll(() => system?.close());

const read = (name: string) => shown(metricsAddress, name);
const pay = (request: object) =>
  api.client.authorize({ payerAccountId: 'rich', payeeAccountId: 'poor', amountCents: 1n, ...request });

test('payments are counted by what became of them', async () => {
  const before = await read('payment_ledger_payments_total');
  const idempotencyKey = randomUUID();
  await pay({ idempotencyKey });
  await pay({ idempotencyKey });
  await expect(pay({ idempotencyKey, amountCents: 2n })).rejects.toMatchObject({ code: status.ALREADY_EXISTS });
  const declined = { idempotencyKey: randomUUID(), payerAccountId: 'dollars', payeeAccountId: 'rich', currency: 'USD' };
  await pay(declined);
  await pay(declined);
  await pay({ payerAccountId: 'nobody' });
  await pay({ amountCents: 0n });
  await pay({ payeeAccountId: 'rich' });
  await pay({ amountCents: 100_000_000n });
  await expect(pay({ currency: 'nonsense' })).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
  expect(await read('payment_ledger_payments_total')).toEqual({
    authorized: before['authorized']! + 1,
    duplicate: 1,
    key_reused: 1,
    'declined CURRENCY_MISMATCH': 1,
    'duplicate CURRENCY_MISMATCH': 1,
    'declined ACCOUNT_NOT_FOUND': 1,
    'declined INVALID_AMOUNT': 1,
    'declined SAME_ACCOUNT': 1,
    'declined INSUFFICIENT_FUNDS': 1,
  });
});

test('a payment that its limit turns away is rate_limited, and the limiter says so too', async () => {
  const limited = await system.startApi({ RATE_LIMIT_CAPACITY: '2', RATE_LIMIT_REFILL_PER_SECOND: '1' });
  const request = { payerAccountId: `payer-${randomUUID()}`, payeeAccountId: 'poor', amountCents: 1n };
  for (let i = 0; i < 6; i++) await limited.client.authorize(request);
  const address = String(limited.ready['metricsAddress']);
  const { 'declined ACCOUNT_NOT_FOUND': allowed = 0, 'rate_limited RATE_LIMITED': limits = 0 } = await shown(
    address,
    'payment_ledger_payments_total',
  );
  const decisions = await shown(address, 'payment_ledger_rate_limit_decisions_total');
  // On a busy machine Redis may be too slow for a token, and then the process's own buckets decide.
  expect((decisions['payer redis limited'] ?? 0) + (decisions['payer local limited'] ?? 0)).toBe(limits);
  expect((decisions['payer redis allowed'] ?? 0) + (decisions['payer local allowed'] ?? 0)).toBe(allowed);
  expect(limits).toBeGreaterThanOrEqual(2);
  expect(allowed + limits).toBe(6);
  await limited.stop();
});

test('transactions are timed and their payments and waits counted; pools show their size', async () => {
  const before = (await scrape(metricsAddress)).get('payment_ledger_transaction_payments')!.values;
  await Promise.all(Array.from({ length: 50 }, () => pay({})));
  const metrics = await scrape(metricsAddress);
  const value = (name: string, line = name) => metrics.get(name.replace(/_(sum|count)$/, ''))!.values.get(line)!;
  const payments = value('payment_ledger_transaction_payments_sum');
  // More where a busy machine let a transaction wait too long for a lock, and it was run again.
  expect(payments - before.get('payment_ledger_transaction_payments_sum')!).toBeGreaterThanOrEqual(50);
  expect(value('payment_ledger_queue_wait_seconds_count')).toBeGreaterThanOrEqual(50);
  const transactions = value('payment_ledger_transaction_payments_count');
  const committed = 'payment_ledger_transaction_seconds_count{outcome="committed"}';
  expect(value('payment_ledger_transaction_seconds_count', committed)).toBeLessThanOrEqual(transactions);
  expect(transactions).toBeLessThan(payments);
  expect(await read('payment_ledger_postgres_pool_size')).toEqual({ payments: 8, reads: 4, health: 1 });
  expect(await read('payment_ledger_build_info')).toEqual({ [`${packageJson.version} ${process.versions.node}`]: 1 });
});

test('a stuck lock shows, and who waits for it', async () => {
  const locker = await system.database.pool.connect();
  try {
    await locker.query('begin');
    await locker.query("select from account_balances where account_id = 'rich' for update");
    const waiting = Promise.allSettled([pay({}), pay({}), pay({})]);
    const anyNumber = { '': expect.any(Number) };
    await expect.poll(() => read('payment_ledger_stuck_lock_queue_length')).toEqual(anyNumber);
    const [known, found, inFlight] = await Promise.all([
      read('payment_ledger_stuck_locks'),
      read('payment_ledger_stuck_locks_found_total'),
      read('payment_ledger_calls_in_flight'),
    ]);
    expect([known, found]).toEqual([{ '': 1 }, anyNumber]);
    // Not answered, whether they wait for their transaction or it waits for the lock.
    expect(inFlight).toMatchObject({ 'unary payment.v1.PaymentService AuthorizePayment': 3 });
    const [first] = await waiting;
    expect(first).toMatchObject({ status: 'rejected', reason: { code: status.UNAVAILABLE } });
  } finally {
    await locker.query('rollback');
    locker.release();
  }
  expect(await read('payment_ledger_payments_total')).toMatchObject({ unavailable: 3 });
  expect((await scrape(metricsAddress)).get('payment_ledger_transaction_seconds')?.values).toSatisfy(
    (values: ReadonlyMap<string, number>) =>
      values.get('payment_ledger_transaction_seconds_count{outcome="contended"}')! > 0,
  );
});
