import { describe, expect, test } from 'vitest';
import { checkExecutePaymentBatch } from '../../../src/api/batch-validation.ts';
import { decodeRequest } from '../../../src/api/wire.ts';
import { ServiceError } from '../../../src/app/errors.ts';
import { ExecutePaymentBatchRequest, type PaymentBatchItem } from '../../../src/gen/payment/v1/payment.ts';
import { captureItem, holdItem, refundItem, transferItem, voidItem } from '../../support/batches.ts';

const parties = { payerAccountId: 'acc-001', payeeAccountId: 'acc-002' };

/** The fields that the check rejects, in its order. */
function rejected(items: PaymentBatchItem[], idempotencyKey = 'key'): string[] {
  try {
    checkExecutePaymentBatch({ idempotencyKey, items });
    return [];
  } catch (error) {
    if (!(error instanceof ServiceError) || error.problem.kind !== 'INVALID_REQUEST') throw error;
    return error.problem.violations.map(({ field }) => field);
  }
}

describe('a batch', () => {
  test('of every kind of item is let through, amounts not looked at', () => {
    expect(
      rejected([transferItem(parties), holdItem(parties), captureItem('x'), voidItem('x'), refundItem('x')]),
    ).toEqual([]);
  });

  test('needs a key', () => {
    expect(rejected([transferItem(parties)], '')).toEqual(['idempotency_key']);
    expect(rejected([transferItem(parties)], 'x'.repeat(256))).toEqual(['idempotency_key']);
  });

  test('has twenty of its bad fields named at most', () => {
    expect(rejected(Array.from({ length: 100 }, () => transferItem({ currency: 'rub' })))).toHaveLength(20);
  });

  test('with an item that is two things is rejected, as it comes from the wire', () => {
    const both = { ...transferItem(parties), ...voidItem('x') };
    const bytes = ExecutePaymentBatchRequest.encode({ idempotencyKey: 'key', items: [both] }).finish();
    const { items } = decodeRequest(ExecutePaymentBatchRequest, bytes) as ExecutePaymentBatchRequest;
    expect(rejected(items)).toEqual(['items[0]']);
  });

  test('with invalid UTF-8 or the key __proto__ deep in an item has that field named', () => {
    const metadata = Object.fromEntries([['__proto__', 'x']]);
    const request = { idempotencyKey: 'key', items: [captureItem('PAYMENT'), transferItem({ ...parties, metadata })] };
    const bytes = Buffer.from(ExecutePaymentBatchRequest.encode(request).finish());
    bytes[bytes.indexOf('PAYMENT')] = 0xff;
    const { items } = decodeRequest(ExecutePaymentBatchRequest, bytes) as ExecutePaymentBatchRequest;
    expect(rejected(items)).toEqual(['items[0].capture.payment_id', 'items[1].transfer.metadata']);
  });
});
