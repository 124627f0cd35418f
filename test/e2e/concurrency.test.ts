import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { type AuthorizePaymentResponse, PaymentStatus } from '../../src/gen/payment/v1/payment.ts';
import { consumeEvents } from '../../tools/events.ts';
import { auditBooks } from '../support/books.ts';
import { disorder } from '../support/order.ts';
import { createSystem, type System } from '../support/system.ts';

let system: System;
beforeAll(async () => {
  system = await createSystem();
});
afterAll(() => system.close());

const ACCOUNTS = Array.from({ length: 10 }, (_, i) => `hot-${i}`);
const CALLS = 2_000;
/** Two calls of three have a key of their own; the third repeats one of them. */
const FRESH = Math.ceil((CALLS * 2) / 3);

/** The request of the i-th call; a repeat is the same in every field. */
function requestOf(i: number) {
  const n = i < FRESH ? i : (i * 7) % FRESH;
  return {
    idempotencyKey: `key-${n}`,
    payerAccountId: ACCOUNTS[n % 10]!,
    payeeAccountId: ACCOUNTS[(n * 3 + 1) % 10 === n % 10 ? (n + 1) % 10 : (n * 3 + 1) % 10]!,
    // Large enough that some must be declined for lack of funds.
    amountCents: BigInt(1 + ((n * 37) % 400)),
  };
}

test('2,000 concurrent calls on two replicas: the books balance and Kafka hears of every payment in order', async () => {
  const [one, two] = await Promise.all([system.startApi(), system.startApi()]);
  for (const account of ACCOUNTS) await one.client.openFunded(account, 2_000n);
  await system.startRelay();
  const consumer = await consumeEvents(inject('kafkaBrokers'), system.topic);

  const answers = await Promise.all(
    Array.from({ length: CALLS }, (_, i) => (i % 2 === 0 ? one : two).client.authorize(requestOf(i), 60_000)),
  );

  const byKey = Map.groupBy(answers.entries(), ([i]) => requestOf(i).idempotencyKey);
  expect(byKey.size).toBe(FRESH);
  for (const calls of byKey.values()) {
    const results = calls.map(([, answer]) => answer);
    expect(new Set(results.map(({ paymentId }) => paymentId)).size).toBe(1);
    expect(results.filter(({ status }) => status !== PaymentStatus.PAYMENT_STATUS_DUPLICATE)).toHaveLength(1);
  }
  const count = (wanted: PaymentStatus) =>
    answers.filter(({ status }: AuthorizePaymentResponse) => status === wanted).length;
  const authorized = count(PaymentStatus.PAYMENT_STATUS_AUTHORIZED);
  const declined = count(PaymentStatus.PAYMENT_STATUS_DECLINED);
  expect(authorized + declined).toBe(FRESH);
  expect(declined, 'the test means to run some accounts dry').toBeGreaterThan(0);

  expect(await auditBooks(system.database)).toEqual([]);
  const payments = await system.database.query<{ payment_id: string }>('select payment_id from payments');
  expect(payments).toHaveLength(FRESH + ACCOUNTS.length);

  const changes = await system.database.query('select from account_changes');
  expect(changes).toHaveLength(ACCOUNTS.length + 1);
  const events = payments.length + changes.length;
  await consumer.until((received) => new Set(received.map(({ eventId }) => eventId)).size >= events);
  expect(new Set(consumer.events.map(({ eventId }) => eventId)).size).toBe(events);
  expect(disorder(consumer.events)).toEqual([]);
  expect(await system.database.query('select from outbox')).toEqual([]);
  await consumer.close();
});
