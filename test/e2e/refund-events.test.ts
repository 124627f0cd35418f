import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { handleEvent } from '../../examples/consumer/account-views.ts';
import { reconcile } from '../../src/app/reconciliation/books.ts';
import { type ReplayRange, replay } from '../../src/app/replay.ts';
import { PaymentActionDeclined, PaymentRefunded } from '../../src/gen/payment/v1/events.ts';
import { PaymentActionType, PaymentErrorCode } from '../../src/gen/payment/v1/payment.ts';
import { postgresHistory } from '../../src/infra/postgres/outbox/account-history.ts';
import { postgresReplayOutbox } from '../../src/infra/postgres/outbox/replay.ts';
import { postgresBooks } from '../../src/infra/postgres/reconciliation/books.ts';
import { consumeEvents, type EventConsumer, type ReceivedEvent } from '../../tools/events.ts';
import { applicationAddress } from '../../tools/stack/postgres.ts';
import { newHold, newPayment } from '../support/refunds.ts';
import { createSystem, type System } from '../support/system.ts';
import { verifyEvents } from '../support/verify.ts';

type Answer = { readonly action: { readonly actionId: string } | undefined };

let system: System;
let consumer: EventConsumer;
let plain: Awaited<ReturnType<typeof newPayment>>;
let held: Awaited<ReturnType<typeof newHold>>;
/** The ids of the actions on either, in the order in which they were made. */
let ofPlain: string[];
let ofHeld: string[];

const idsOf = (paymentId: string, answers: readonly Answer[]) => [
  paymentId,
  ...answers.map(({ action }) => action!.actionId),
];

beforeAll(async () => {
  system = await createSystem();
  await system.startRelay();
  const { client } = await system.startApi();
  plain = await newPayment(client, 100n);
  const notes = { description: 'torn', reference: 'return 7', metadata: { shop: '12' } };
  ofPlain = idsOf(plain.paymentId, [
    await client.refund(plain.paymentId, { amountCents: 30n, ...notes }),
    await client.refund(plain.paymentId, { amountCents: 71n, ...notes }),
    await client.refund(plain.paymentId),
    await client.refund(plain.paymentId),
  ]);
  held = await newHold(client, 100n);
  ofHeld = idsOf(held.paymentId, [
    await client.refund(held.paymentId),
    await client.capture(held.paymentId, { amountCents: 60n, keepRemainder: true }),
    await client.refund(held.paymentId, { amountCents: 60n }),
    await client.capture(held.paymentId, { amountCents: 20n }),
    await client.refund(held.paymentId, { amountCents: 5n }),
  ]);
  consumer = await consumeEvents(inject('kafkaBrokers'), system.topic);
  await consumer.until((events) => ofPayments(events).length >= 2 + ofPlain.length + ofHeld.length);
});
afterAll(async () => {
  await consumer?.close();
  await system?.close();
});

const ofPayments = (events: readonly ReceivedEvent[]) => events.filter(({ type }) => type.startsWith('payment.'));

const eventsOf = (paymentId: string) => consumer.events.filter(({ headers }) => headers['ce_subject'] === paymentId);

test('every action has its event, under the key of the original payer and in order', () => {
  for (const [payment, ids, types] of [
    [plain, ofPlain, ['authorized', 'refunded', 'action_declined', 'refunded', 'action_declined']],
    [held, ofHeld, ['held', 'action_declined', 'captured', 'refunded', 'captured', 'refunded']],
  ] as const) {
    const events = eventsOf(payment.paymentId);
    expect(events.map(({ eventId }) => eventId)).toEqual(ids);
    expect(events.map(({ type }) => type)).toEqual(types.map((type) => `payment.${type}.v1`));
    expect(new Set(events.map(({ key }) => key))).toEqual(new Set([payment.payerAccountId]));
  }
});

test('payment.refunded.v1 has both accounts as the refund left them', () => {
  const [, first] = eventsOf(plain.paymentId);
  const { payerAccountId, payeeAccountId, paymentId } = plain;
  const refunded = PaymentRefunded.fromJSON(JSON.parse(first!.value));
  expect(PaymentRefunded.toJSON(refunded), 'nothing is lost on the way').toEqual(JSON.parse(first!.value));
  expect(refunded).toEqual({
    ...{ paymentId, payerAccountId, payeeAccountId, amountCents: 30n, currency: 'RUB' },
    ...{ description: 'torn', reference: 'return 7', metadata: { shop: '12' }, actionId: first!.eventId, batchId: '' },
    refundedAt: first!.headers['ce_time'],
    payer: { balanceCents: 930n, version: 3n, pendingCents: 0n },
    payee: { balanceCents: 70n, version: 2n, pendingCents: 0n },
  });
  const whileHeld = PaymentRefunded.fromJSON(JSON.parse(eventsOf(held.paymentId)[3]!.value));
  expect(whileHeld.payer).toEqual({ balanceCents: 1_000n, version: 4n, pendingCents: 40n });
  expect(whileHeld.payee).toEqual({ balanceCents: 0n, version: 2n, pendingCents: 0n });
});

test('payment.action_declined.v1 says what was asked for and why it was declined', () => {
  const [, , ofAmount, , ofAll] = eventsOf(plain.paymentId).map(({ value }) =>
    PaymentActionDeclined.fromJSON(JSON.parse(value)),
  );
  for (const declined of [ofAmount!, ofAll!]) {
    expect(declined.type).toBe(PaymentActionType.PAYMENT_ACTION_TYPE_REFUND);
    expect(declined.error?.code).toBe(PaymentErrorCode.PAYMENT_ERROR_CODE_AMOUNT_EXCEEDS_CAPTURED);
  }
  expect([ofAmount!.amountCents, ofAll!.amountCents]).toEqual([71n, 0n]);
  expect(ofAmount).toMatchObject({ description: 'torn', reference: 'return 7', metadata: { shop: '12' } });
});

test('books and topic agree', async () => {
  expect((await reconcile(postgresBooks(system.database.application))).problems).toEqual([]);
  const verified = await verifyEvents({
    DATABASE_URL: applicationAddress(system.database.url),
    KAFKA_BROKERS: inject('kafkaBrokers'),
    KAFKA_TOPIC: system.topic,
  });
  expect(JSON.parse(verified.output)).toMatchObject({
    books: { balance: true },
    // Five accounts were opened, and two of them funded.
    events: { agree: true, paymentsAudited: 5 + 2 + ofPlain.length + ofHeld.length, unverifiable: 0 },
  });
});

test('the example consumer has every balance right', async () => {
  await system.database.query(await readFile('examples/consumer/schema.sql', 'utf8'));
  const connection = await system.database.pool.connect();
  for (const { eventId, type, value } of consumer.events) {
    await handleEvent(connection, { id: eventId, type, value });
  }
  connection.release();
  const columns = 'account_id, currency, balance_cents, pending_cents, version';
  const truth = `select account_id, currency, available_cents + pending_cents as balance_cents, pending_cents, version
    from account_balances order by account_id`;
  expect(await system.database.query(`select ${columns} from account_views order by account_id`)).toEqual(
    await system.database.query(truth),
  );
  expect(await system.database.query('select from missing_versions')).toEqual([]);
});

test.each<[string, () => ReplayRange, () => string[]]>([
  ['a payment', () => ({ kind: 'PAYMENT', paymentId: plain.paymentId }), () => ofPlain],
  // What moved its money: not the hold, and nothing that was declined.
  [
    'the payee',
    () => ({ kind: 'ACCOUNT', accountId: held.payeeAccountId }),
    () => [ofHeld[2]!, ofHeld[3]!, ofHeld[4]!, ofHeld[5]!],
  ],
])('a replay of %s sends refunds again, each as it was', async (_case, range, ids) => {
  const before = ofPayments(consumer.events).length;
  const pool = system.database.application;
  await replay(postgresHistory(pool), postgresReplayOutbox(pool), range(), () => undefined);
  await consumer.until((events) => ofPayments(events).length >= before + ids().length);
  const again = ofPayments(consumer.events).slice(before);
  expect(again.map(({ eventId }) => eventId)).toEqual(ids());
  for (const event of again) {
    const original = consumer.events.find(({ eventId }) => eventId === event.eventId)!;
    const { traceparent: _, ...headers } = original.headers;
    expect(event).toMatchObject({ key: original.key, type: original.type, value: original.value, headers });
    expect(event.headers['ce_replayed']).toBe('true');
  }
});
