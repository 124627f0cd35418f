import { type ServiceError, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PaymentErrorCode, PaymentStatus } from '../../src/gen/payment/v1/payment.ts';
import type { LedgerClient } from '../../tools/client.ts';
import { errorDetails } from '../support/error-details.ts';
import { rejection } from '../support/rejection.ts';
import { createSystem, type System } from '../support/system.ts';

// "What became of my call?": payments found by the key they were made with.
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

function expectNoPayment(error: ServiceError, key: string) {
  expect(error.code).toBe(status.NOT_FOUND);
  expect(errorDetails(error).resourceInfo).toMatchObject({ resourceType: 'Payment', resourceName: key });
}

describe('GetPayment by idempotency key', () => {
  test('an authorized payment is the one that its id names', async () => {
    const idempotencyKey = 'ключ 🔑 "\\';
    const { paymentId } = await client.authorize({ ...pay, idempotencyKey });
    const payment = await client.paymentByKey(idempotencyKey);
    expect(payment).toMatchObject({ paymentId, status: PaymentStatus.PAYMENT_STATUS_AUTHORIZED });
    expect(payment).toEqual(await client.payment(paymentId));
  });

  test('a declined payment comes with its reason', async () => {
    const idempotencyKey = crypto.randomUUID();
    const { paymentId } = await client.authorize({
      ...pay,
      payerAccountId: 'poor',
      payeeAccountId: 'rich',
      amountCents: 900n,
      idempotencyKey,
    });
    expect(await client.paymentByKey(idempotencyKey)).toMatchObject({
      paymentId,
      status: PaymentStatus.PAYMENT_STATUS_DECLINED,
      error: { code: PaymentErrorCode.PAYMENT_ERROR_CODE_INSUFFICIENT_FUNDS },
    });
  });

  test('many at once get each their own, repeated keys too', async () => {
    const keys = Array.from({ length: 50 }, () => crypto.randomUUID());
    const made = await Promise.all(keys.map((idempotencyKey) => client.authorize({ ...pay, idempotencyKey })));
    const read = await Promise.all(
      [...keys, ...keys, 'nobody'].map((key) => client.paymentByKey(key).catch(() => 'none')),
    );
    const ids = made.map(({ paymentId }) => paymentId);
    expect(read.map((payment) => (typeof payment === 'object' ? payment.paymentId : payment))).toEqual([
      ...ids,
      ...ids,
      'none',
    ]);
  });

  test('a key that nobody used: NOT_FOUND', async () => {
    expectNoPayment(await rejection(client.paymentByKey('unused')), 'unused');
  });

  test('a key whose call stored nothing: NOT_FOUND', async () => {
    await client.authorize({ ...pay, amountCents: 0n, idempotencyKey: 'nothing stored' });
    expectNoPayment(await rejection(client.paymentByKey('nothing stored')), 'nothing stored');
  });

  test('the key of another caller: NOT_FOUND', async () => {
    const { paymentId } = await client.authorize(pay);
    await system.database.query(
      `insert into idempotency_keys (caller, key, payment_id, created_at)
       select 'another', 'of another caller', payment_id, created_at from idempotency_keys where payment_id =
         (select payment_id from payments order by payment_id desc limit 1)`,
    );
    expectNoPayment(await rejection(client.paymentByKey('of another caller')), 'of another caller');
    expect(await client.payment(paymentId)).toMatchObject({ paymentId });
  });

  test.each([
    ['neither: payment_id is named', '', '', 'payment_id'],
    ['both: idempotency_key is named', '01ARZ3NDEKTSV4RRFFQ69G5FAV', 'key', 'idempotency_key'],
    ['a key that is too long is named', '', 'k'.repeat(256), 'idempotency_key'],
  ])('%s', async (_case, paymentId, idempotencyKey, field) => {
    const error = await rejection(client.getPayment({ paymentId, idempotencyKey }));
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    expect(errorDetails(error).badRequest?.fieldViolations.map((violation) => violation.field)).toEqual([field]);
  });
});
