import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { reconcile } from '../../src/app/reconciliation/books.ts';
import { replay } from '../../src/app/replay.ts';
import { PaymentStatus } from '../../src/gen/payment/v1/payment.ts';
import { postgresHistory } from '../../src/infra/postgres/outbox/account-history.ts';
import { postgresReplayOutbox } from '../../src/infra/postgres/outbox/replay.ts';
import { postgresBooks } from '../../src/infra/postgres/reconciliation/books.ts';
import type { LedgerClient } from '../../tools/client.ts';
import { consumeEvents } from '../../tools/events.ts';
import { errorDetails } from '../support/error-details.ts';
import { rejection } from '../support/rejection.ts';
import { createSystem, type System } from '../support/system.ts';

let system: System;
let client: LedgerClient;

beforeAll(async () => {
  system = await createSystem();
  ({ client } = await system.startApi());
  await client.openFunded('rich', 1_000n);
  await client.open('poor');
});
afterAll(() => system.close());

const pay = { payerAccountId: 'rich', payeeAccountId: 'poor', amountCents: 1n };
const notes = {
  reference: 'order "17" \\ заказ 🧾',
  metadata: { empty: '', 'quoted "key"': '\\ {a, b} NULL', toString: 'перевод\n🧾' },
};

describe('reference and metadata', () => {
  test('are read back as they were sent, of authorized and declined payments', async () => {
    const authorized = await client.authorize({ ...pay, ...notes });
    expect(await client.payment(authorized.paymentId)).toMatchObject(notes);
    const declined = await client.authorize({ ...pay, ...notes, amountCents: 10_000n });
    expect(declined.status).toBe(PaymentStatus.PAYMENT_STATUS_DECLINED);
    expect(await client.payment(declined.paymentId)).toMatchObject(notes);
  });

  test('are empty where none were sent, and stored as nothing', async () => {
    const { paymentId } = await client.authorize(pay);
    expect(await client.payment(paymentId)).toMatchObject({ reference: '', metadata: {} });
    const stored = await system.database.query(
      'select reference, metadata from payments order by payment_id desc limit 1',
    );
    expect(stored).toEqual([{ reference: null, metadata: null }]);
  });

  test('the same again in another order is a DUPLICATE', async () => {
    const request = { ...pay, ...notes, idempotencyKey: crypto.randomUUID() };
    await client.authorize(request);
    const metadata = Object.fromEntries(Object.entries(notes.metadata).reverse());
    expect((await client.authorize({ ...request, metadata })).status).toBe(PaymentStatus.PAYMENT_STATUS_DUPLICATE);
  });

  test.each([
    ['another reference', { reference: 'order 18' }, 'reference'],
    ['no reference', { reference: '' }, 'reference'],
    ['another note', { metadata: { ...notes.metadata, empty: 'no more' } }, 'metadata'],
    ['one note more', { metadata: { ...notes.metadata, more: '' } }, 'metadata'],
    ['one note less', { metadata: { empty: '' } }, 'metadata'],
    ['no notes', { metadata: {} }, 'metadata'],
    ['neither', { reference: '', metadata: {} }, 'reference,metadata'],
  ])('a key that is used again with %s: ALREADY_EXISTS names it', async (_case, difference, fields) => {
    const request = { ...pay, ...notes, idempotencyKey: crypto.randomUUID() };
    await client.authorize(request);
    const error = await rejection(client.authorize({ ...request, ...difference }));
    expect(error.code).toBe(status.ALREADY_EXISTS);
    expect(errorDetails(error).errorInfo).toMatchObject({ reason: 'IDEMPOTENCY_KEY_REUSED', metadata: { fields } });
  });

  test.each([
    ['reference', { reference: 'r'.repeat(256) }],
    ['reference', { reference: 'a\0b' }],
    ['metadata', { metadata: { ['k'.repeat(41)]: '' } }],
    ['metadata', { metadata: { note: 'v'.repeat(501) } }],
    ['metadata', { metadata: Object.fromEntries(Array.from({ length: 21 }, (_, n) => [`key ${n}`, ''])) }],
  ])('a bad %s is named: %o', async (field, fault) => {
    const error = await rejection(client.authorize({ ...pay, ...fault }));
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    expect(errorDetails(error).badRequest?.fieldViolations.map((violation) => violation.field)).toEqual([field]);
  });

  test('the largest there can be fit into a call', async () => {
    const metadata = Object.fromEntries(
      Array.from({ length: 20 }, (_, n) => ['🐘'.repeat(38) + String(n).padStart(2, '0'), '🐘'.repeat(500)]),
    );
    const request = { ...pay, reference: '🐘'.repeat(255), metadata, description: '🐘'.repeat(1_000) };
    const { paymentId } = await client.authorize({ ...request, idempotencyKey: '🐘'.repeat(255) });
    expect(await client.payment(paymentId)).toMatchObject({ reference: request.reference, metadata });
  });

  test('are in the event, which the books prove and a replay makes again', async () => {
    const { paymentId } = await client.authorize({ ...pay, ...notes });
    expect((await reconcile(postgresBooks(system.database.application))).problems).toEqual([]);
    await system.startRelay();
    const consumer = await consumeEvents(inject('kafkaBrokers'), system.topic);
    const own = () => consumer.events.filter(({ eventId }) => eventId === paymentId);
    await consumer.until(() => own().length === 1);
    expect(own()[0]?.authorized).toMatchObject(notes);
    await replay(
      postgresHistory(system.database.application),
      postgresReplayOutbox(system.database.application),
      { kind: 'ACCOUNT', accountId: 'poor' },
      () => undefined,
    );
    await consumer.until(() => own().length === 2);
    expect(own()[1]?.value).toBe(own()[0]?.value);
    await consumer.close();
  });

  test('Postgres rejects a reference that is too long or empty', async () => {
    for (const reference of ['r'.repeat(256), '']) {
      const insert = system.database.query(
        `insert into payments (payment_id, payer_account_id, payee_account_id, amount_cents, currency, status, description,
           reference, decline_code, decline_message, created_at)
         values (gen_random_uuid(), 'a', 'b', 1, 'RUB', 'DECLINED', '', $1, 'X', 'x', now())`,
        [reference],
      );
      await expect(insert).rejects.toMatchObject({ constraint: 'reference_is_short' });
    }
  });
});
