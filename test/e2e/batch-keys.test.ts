import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type PaymentBatchItem, PaymentErrorCode, PaymentStatus } from '../../src/gen/payment/v1/payment.ts';
import type { LedgerClient } from '../../tools/client.ts';
import { captureItem, holdItem, refundItem, transferItem, voidItem } from '../support/batches.ts';
import { auditBooks } from '../support/books.ts';
import { errorDetails } from '../support/error-details.ts';
import { rowCounts } from '../support/hold-cases.ts';
import { newHold, newPair, newPayment } from '../support/refunds.ts';
import { rejection } from '../support/rejection.ts';
import { createSystem, type System } from '../support/system.ts';

// What a key of a batch leads to, and what is rejected before anything is decided.
let system: System;
let client: LedgerClient;
beforeAll(async () => {
  system = await createSystem();
  ({ client } = await system.startApi());
});
afterAll(async () => {
  expect(await auditBooks(system.database)).toEqual([]);
  await system.close();
});

const newKey = () => crypto.randomUUID();
const { PAYMENT_STATUS_CAPTURED, PAYMENT_STATUS_DECLINED, PAYMENT_STATUS_HELD } = PaymentStatus;

/** Each kind of item, on payments of the test's own. */
async function allKinds() {
  const pair = await newPair(client);
  const [toCapture, toVoid, paid] = [await newHold(client), await newHold(client), await newPayment(client)];
  return {
    payerAccountId: pair.payerAccountId,
    items: [
      transferItem({ ...pair, amountCents: 1n, reference: 'r', metadata: { a: '1', b: '2' } }),
      holdItem({ ...pair, amountCents: 2n }),
      captureItem(toCapture.paymentId, { amountCents: 3n, keepRemainder: true }),
      voidItem(toVoid.paymentId),
      refundItem(paid.paymentId, { amountCents: 4n }),
    ],
    toCapture,
  };
}

describe('a batch with a key that a batch has', () => {
  test('answers the first one verbatim, with the payments as they are now', async () => {
    const { items, toCapture } = await allKinds();
    const key = newKey();
    const first = await client.batch(items, key);
    expect(first.error).toBeUndefined();
    await client.capture(toCapture.paymentId, { amountCents: 97n });
    await client.void(first.payments[1]!.paymentId);
    const before = await rowCounts(system.database);

    const again = await client.batch(items, key);
    expect(again).toEqual({ ...first, replayed: true, payments: again.payments });
    expect(again.payments.map(({ paymentId }) => paymentId)).toEqual(first.payments.map(({ paymentId }) => paymentId));
    for (const payment of again.payments) expect(payment).toEqual(await client.payment(payment.paymentId));
    expect(again.payments[2]).toMatchObject({ status: PAYMENT_STATUS_CAPTURED, capturedCents: 100n });
    expect(await rowCounts(system.database)).toEqual(before);
  });

  test('is the same whatever its descriptions are and in whatever order its metadata', async () => {
    const pair = await newPair(client);
    const key = newKey();
    const item = { ...pair, amountCents: 1n };
    await client.batch([transferItem({ ...item, metadata: { a: '1', b: '2' }, description: 'one' })], key);
    const again = await client.batch(
      [transferItem({ ...item, metadata: { b: '2', a: '1' }, description: 'two' })],
      key,
    );
    expect(again).toMatchObject({ replayed: true, actions: [{ description: 'one' }] });
  });

  test('is declined again if the first one was, though it could be taken by now', async () => {
    const pair = await newPair(client, 100n);
    const key = newKey();
    const items = [transferItem({ ...pair, amountCents: 60n }), transferItem({ ...pair, amountCents: 60n })];
    const first = await client.batch(items, key);
    expect(first).toMatchObject({ declinedItem: 1, replayed: false });
    await client.openFunded(pair.payerAccountId, 1_000n);
    expect(await client.batch(items, key)).toEqual({ ...first, replayed: true });
    expect((await client.batch(items)).error).toBeUndefined();
  });

  test('is ALREADY_EXISTS if any field of any item differs, or their number or order', async () => {
    const { items } = await allKinds();
    const key = newKey();
    const { batchId } = await client.batch(items, key);
    const [transfer, hold, capture, voided, refund] = items as [PaymentBatchItem, ...PaymentBatchItem[]];
    const replaced = (index: number, item: PaymentBatchItem) => items.map((each, at) => (at === index ? item : each));
    const change = <Kind extends keyof PaymentBatchItem>(item: PaymentBatchItem, kind: Kind, fields: object) => ({
      [kind]: { ...item[kind], ...fields },
    });
    const others = [
      replaced(0, change(transfer, 'transfer', { amountCents: 9n })),
      replaced(0, change(transfer, 'transfer', { payeeAccountId: 'x' })),
      replaced(0, change(transfer, 'transfer', { currency: 'USD' })),
      replaced(0, change(transfer, 'transfer', { reference: '' })),
      replaced(0, change(transfer, 'transfer', { metadata: { a: '1' } })),
      replaced(0, { hold: { ...transfer.transfer!, ttl: undefined } }),
      replaced(1, change(hold!, 'hold', { ttl: { seconds: 60n, nanos: 0 } })),
      replaced(2, change(capture!, 'capture', { amountCents: undefined })),
      replaced(2, change(capture!, 'capture', { keepRemainder: false })),
      replaced(3, change(voided!, 'void', { paymentId: refund!.refund!.paymentId })),
      replaced(4, change(refund!, 'refund', { metadata: { a: '1' } })),
      items.toReversed(),
      items.slice(1),
      [...items, transfer],
    ];
    const before = await rowCounts(system.database);
    for (const other of others) {
      const error = await rejection(client.batch(other, key));
      expect(error.code).toBe(status.ALREADY_EXISTS);
      expect(errorDetails(error).errorInfo).toMatchObject({
        reason: 'IDEMPOTENCY_KEY_REUSED',
        metadata: { fields: 'items' },
      });
    }
    expect(await rowCounts(system.database)).toEqual(before);
    expect(await client.batch(items, key)).toMatchObject({ batchId, replayed: true });
  });
});

describe('a key of another method', () => {
  test('is ALREADY_EXISTS in either direction, and the method is named', async () => {
    const { paymentId, ...pair } = await newHold(client, 100n);
    const amountCents = 10n;
    const calls = {
      authorize: (idempotencyKey: string) => client.authorize({ ...pair, amountCents, idempotencyKey }),
      hold: (idempotencyKey: string) => client.hold({ ...pair, amountCents, idempotencyKey }),
      capture: (idempotencyKey: string) =>
        client.capture(paymentId, { amountCents, keepRemainder: true, idempotencyKey }),
      refund: (idempotencyKey: string) => client.refund(paymentId, { amountCents, idempotencyKey }),
      void: (idempotencyKey: string) => client.void(paymentId, { idempotencyKey }),
    };
    const items = {
      authorize: transferItem({ ...pair, amountCents }),
      hold: holdItem({ ...pair, amountCents }),
      capture: captureItem(paymentId, { amountCents, keepRemainder: true }),
      refund: refundItem(paymentId, { amountCents }),
      void: voidItem(paymentId),
    };
    for (const kind of ['authorize', 'hold', 'capture', 'refund', 'void'] as const) {
      const [ofBatch, ofCall, ofDeclined] = [newKey(), newKey(), newKey()];
      // The batch of a void comes last, so that there is something on hold for the call.
      if (kind !== 'void') expect((await client.batch([items[kind]], ofBatch)).error).toBeUndefined();
      await calls[kind](ofCall);
      if (kind === 'void') await client.batch([items[kind]], ofBatch);
      const tooMuch = transferItem({ ...pair, amountCents: 1_000_000n });
      expect((await client.batch([items[kind], tooMuch], ofDeclined)).error).toBeDefined();
      for (const call of [
        () => calls[kind](ofBatch),
        () => calls[kind](ofDeclined),
        () => client.batch([items[kind]], ofCall),
      ]) {
        const error = await rejection(call());
        expect(error.code, kind).toBe(status.ALREADY_EXISTS);
        expect(errorDetails(error).errorInfo?.metadata['fields'], kind).toBe('method');
      }
    }
  });
});

describe('by its key or id', () => {
  test('a batch is found: its first payment by GetPayment, all of them by ListPayments', async () => {
    const { items, payerAccountId } = await allKinds();
    const key = newKey();
    const { batchId, payments } = await client.batch(items, key);
    const found = await client.getPayment({ paymentId: '', idempotencyKey: key });
    expect(found).toEqual({ payment: payments[0], batchId });

    const newestFirst = payments.toSorted((one, other) => (one.paymentId < other.paymentId ? 1 : -1));
    const listed = await client.listPayments({ batchId });
    expect(listed).toEqual({ payments: newestFirst, nextPageToken: '' });
    expect(await client.listPayments({ batchId: batchId.toLowerCase() })).toEqual(listed);
    const statuses = [PAYMENT_STATUS_HELD];
    expect((await client.listPayments({ batchId, statuses })).payments).toEqual(
      newestFirst.filter((payment) => payment.status === PAYMENT_STATUS_HELD),
    );
    expect((await client.listPayments({ batchId, accountId: payerAccountId })).payments).toHaveLength(2);
    const first = await client.listPayments({ batchId, pageSize: 3 });
    expect(first.payments).toEqual(newestFirst.slice(0, 3));
    const second = await client.listPayments({ batchId, pageSize: 3, pageToken: first.nextPageToken });
    expect(second).toEqual({ payments: newestFirst.slice(3), nextPageToken: '' });
    const ofOther = { batchId: '01ARZ3NDEKTSV4RRFFQ69G5FAV', pageToken: first.nextPageToken };
    expect((await rejection(client.listPayments(ofOther))).code).toBe(status.INVALID_ARGUMENT);
  });

  test('a declined batch is found by the payment of the declined item', async () => {
    const pair = await newPair(client);
    const key = newKey();
    const items = [transferItem({ ...pair, amountCents: 1n }), holdItem({ ...pair, amountCents: 5_000n })];
    const { batchId } = await client.batch(items, key);
    const declined = await client.payment(batchId);
    expect(declined).toMatchObject({ status: PAYMENT_STATUS_DECLINED, amountCents: 5_000n, batchId });
    expect(await client.getPayment({ paymentId: '', idempotencyKey: key })).toEqual({ payment: declined, batchId });
    expect((await client.listPayments({ batchId })).payments).toEqual([declined]);
  });

  test('there is no batch of an id that nobody has, and an id that is none is INVALID_ARGUMENT', async () => {
    const { payments } = await client.listPayments({ batchId: '01ARZ3NDEKTSV4RRFFQ69G5FAV' });
    expect(payments).toEqual([]);
    const error = await rejection(client.listPayments({ batchId: 'none' }));
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    expect(errorDetails(error).badRequest?.fieldViolations[0]?.field).toBe('batch_id');
  });
});

describe('stores nothing, and its key is free:', () => {
  /** A batch that comes to nothing, and then, with the same key, one that is taken. */
  async function unstored<Answer>(attempt: (key: string) => Promise<Answer>): Promise<Answer> {
    const key = newKey();
    const before = await rowCounts(system.database);
    const [answer] = await Promise.allSettled([attempt(key)]);
    expect(await rowCounts(system.database)).toEqual(before);
    const pair = await newPair(client);
    expect((await client.batch([transferItem({ ...pair, amountCents: 1n })], key)).error).toBeUndefined();
    if (answer.status === 'rejected') throw answer.reason;
    return answer.value;
  }

  test.each([
    ['a transfer of nothing', 'INVALID_AMOUNT', transferItem, { amountCents: 0n }],
    ['a hold of less than nothing', 'INVALID_AMOUNT', holdItem, { amountCents: -1n }],
    ['a transfer to the payer', 'SAME_ACCOUNT', transferItem, { payeeAccountId: 'same', amountCents: 1n }],
  ] as const)('%s is declined with %s', async (_case, name, item, fields) => {
    const pair = { payerAccountId: 'same', payeeAccountId: 'other' };
    const good = transferItem({ ...(await newPair(client)), amountCents: 1n });
    const batch = await unstored((key) => client.batch([good, item({ ...pair, ...fields })], key));
    expect(batch).toMatchObject({ batchId: '', declinedItem: 1, actions: [], payments: [], replayed: false });
    expect(batch.error?.code).toBe(PaymentErrorCode[`PAYMENT_ERROR_CODE_${name}`]);
  });

  test('a capture or a refund of 0 is declined with INVALID_AMOUNT', async () => {
    const { paymentId } = await newHold(client);
    for (const item of [captureItem, refundItem]) {
      const items = [voidItem(paymentId), item(paymentId, { amountCents: 0n })];
      const batch = await unstored((key) => client.batch(items, key));
      expect(batch).toMatchObject({ batchId: '', declinedItem: 1 });
      expect(batch.error?.code).toBe(PaymentErrorCode.PAYMENT_ERROR_CODE_INVALID_AMOUNT);
    }
    expect(await client.payment(paymentId)).toMatchObject({ status: PAYMENT_STATUS_HELD });
  });

  test('an unknown payment is NOT_FOUND, and the message names the item', async () => {
    const { paymentId } = await newHold(client);
    const action = (await client.capture(paymentId, { amountCents: 1n, keepRemainder: true })).action!.actionId;
    for (const unknown of ['01ARZ3NDEKTSV4RRFFQ69G5FAV', 'none', action]) {
      for (const item of [captureItem(unknown), voidItem(unknown), refundItem(unknown)]) {
        const kind = Object.keys(item)[0];
        const error = await rejection(unstored((key) => client.batch([voidItem(paymentId), item], key)));
        expect(error.code).toBe(status.NOT_FOUND);
        expect(error.details).toContain(`items[1].${kind}`);
        expect(errorDetails(error).resourceInfo).toMatchObject({ resourceType: 'Payment', resourceName: unknown });
      }
    }
  });

  test('a malformed item is INVALID_ARGUMENT, and every bad field is named', async () => {
    const { paymentId } = await newHold(client);
    const bad = [
      transferItem({ payerAccountId: '', payeeAccountId: 'x'.repeat(65), currency: 'rub' }),
      {} as PaymentBatchItem,
      captureItem('', { description: 'x'.repeat(1_001) }),
      holdItem({ payerAccountId: 'a', payeeAccountId: 'b', ttl: { seconds: 0n, nanos: 0 } }),
      voidItem(paymentId, { metadata: { '': '' } }),
    ];
    const error = await rejection(unstored((key) => client.batch(bad, key)));
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    expect(errorDetails(error).badRequest?.fieldViolations.map(({ field }) => field)).toEqual([
      'items[0].transfer.payer_account_id',
      'items[0].transfer.payee_account_id',
      'items[0].transfer.currency',
      'items[1]',
      'items[2].capture.payment_id',
      'items[2].capture.description',
      'items[3].hold.ttl',
      'items[4].void.metadata',
    ]);
  });

  test.each([
    ['no item', 0],
    ['a hundred and one items', 101],
  ])('%s is INVALID_ARGUMENT', async (_case, count) => {
    const item = transferItem({ ...(await newPair(client)), amountCents: 1n });
    const error = await rejection(
      unstored((key) =>
        client.batch(
          Array.from({ length: count }, () => item),
          key,
        ),
      ),
    );
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    expect(errorDetails(error).badRequest?.fieldViolations).toMatchObject([{ field: 'items' }]);
  });
});
