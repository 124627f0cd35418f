import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { handleEvent } from '../../examples/consumer/account-views.ts';
import { reconcile } from '../../src/app/reconciliation/books.ts';
import { replay } from '../../src/app/replay.ts';
import type { PaymentAction } from '../../src/gen/payment/v1/payment.ts';
import { postgresHistory } from '../../src/infra/postgres/outbox/account-history.ts';
import { postgresReplayOutbox } from '../../src/infra/postgres/outbox/replay.ts';
import { postgresBooks } from '../../src/infra/postgres/reconciliation/books.ts';
import { consumeEvents, type EventConsumer, type ReceivedEvent } from '../../tools/events.ts';
import { applicationAddress } from '../../tools/stack/postgres.ts';
import { captureItem, holdItem, refundItem, transferItem } from '../support/batches.ts';
import { newHold, newPair } from '../support/refunds.ts';
import { createSystem, type System } from '../support/system.ts';
import { verifyEvents } from '../support/verify.ts';

let system: System;
let consumer: EventConsumer;
let actions: readonly PaymentAction[];
let batchId: string;
/** Of two batches that are declined, by a transfer and by a capture. */
let declinedIds: string[];

beforeAll(async () => {
  system = await createSystem();
  await system.startRelay();
  const { client } = await system.startApi();
  const pair = await newPair(client);
  const { paymentId } = await newHold(client, 100n);
  const transfer = transferItem({ ...pair, amountCents: 10n, reference: 'order' });
  const batch = await client.batch([
    transfer,
    holdItem({ ...pair, amountCents: 20n }),
    captureItem(paymentId, { amountCents: 60n, keepRemainder: true }),
    refundItem(paymentId, { amountCents: 5n }),
    transfer,
  ]);
  ({ actions, batchId } = batch);
  declinedIds = [
    (await client.batch([transfer, transferItem({ ...pair, amountCents: 5_000n })])).batchId,
    (await client.batch([transfer, captureItem(paymentId, { amountCents: 41n })])).batchId,
  ];
  consumer = await consumeEvents(inject('kafkaBrokers'), system.topic);
  await consumer.until((events) => ofBatches(events).length >= actions.length + declinedIds.length);
});
afterAll(async () => {
  await consumer?.close();
  await system?.close();
});

const batchOf = ({ value }: ReceivedEvent) => JSON.parse(value).batchId as string | undefined;
const ofBatches = (events: readonly ReceivedEvent[]) => events.filter((event) => batchOf(event) !== undefined);

test('each item has its event, with the id of its action and that of the batch', () => {
  const events = ofBatches(consumer.events).filter((event) => batchOf(event) === batchId);
  expect(events.map(({ eventId }) => eventId).sort()).toEqual(actions.map(({ actionId }) => actionId));
  const byId = new Map(events.map((event) => [event.eventId, event]));
  expect(actions.map(({ actionId }) => byId.get(actionId)!.type)).toEqual([
    'payment.authorized.v1',
    'payment.held.v1',
    'payment.captured.v1',
    'payment.refunded.v1',
    'payment.authorized.v1',
  ]);
  expect(actions.map(({ actionId }) => byId.get(actionId)!.headers['ce_subject'])).toEqual(
    actions.map(({ paymentId }) => paymentId),
  );
  // Of one payer they are in the order of the items.
  const ofPayer = events.filter(({ key }) => key === byId.get(batchId)!.key).map(({ eventId }) => eventId);
  expect(ofPayer).toEqual([0, 1, 4].map((item) => actions[item]!.actionId));
});

test('a declined batch has one event, of the item that declined it', () => {
  const events = declinedIds.map((id) => consumer.events.filter((event) => batchOf(event) === id));
  expect(events.map((ofOne) => ofOne.map(({ eventId, type }) => [eventId, type]))).toEqual([
    [[declinedIds[0], 'payment.declined.v1']],
    [[declinedIds[1], 'payment.action_declined.v1']],
  ]);
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
    // Five accounts were opened, and two of them funded; a hold was made alone.
    events: { agree: true, paymentsAudited: 5 + 2 + 1 + actions.length + declinedIds.length, unverifiable: 0 },
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

test('a replay sends them again, each as it was', async () => {
  const before = consumer.events.length;
  const pool = system.database.application;
  const range = { kind: 'TIME', from: new Date(0), to: new Date(Date.now() + 60_000) } as const;
  const replayed = await replay(postgresHistory(pool), postgresReplayOutbox(pool), range, () => undefined);
  await consumer.until((events) => events.length >= before + replayed);
  const again = ofBatches(consumer.events.slice(before));
  expect(again).toHaveLength(actions.length + declinedIds.length);
  for (const event of again) {
    const original = consumer.events.find(({ eventId }) => eventId === event.eventId)!;
    expect(event).toMatchObject({ key: original.key, type: original.type, value: original.value });
  }
});
