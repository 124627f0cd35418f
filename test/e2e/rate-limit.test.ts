import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { AccountType } from '../../src/gen/payment/v1/account.ts';
import { type AuthorizePaymentResponse, PaymentErrorCode, PaymentStatus } from '../../src/gen/payment/v1/payment.ts';
import type { LedgerClient } from '../../tools/client.ts';
import { captureItem, holdItem, refundItem, transferItem, voidItem } from '../support/batches.ts';
import { rejection } from '../support/rejection.ts';
import { createSystem, type System } from '../support/system.ts';

let system: System;
beforeAll(async () => {
  system = await createSystem();
});
afterAll(() => system?.close());

const LIMIT = { RATE_LIMIT_CAPACITY: '200', RATE_LIMIT_REFILL_PER_SECOND: '1' };

function pay(client: LedgerClient, count: number, payerAccountId: string, payeeAccountId: string) {
  const request = { payerAccountId, payeeAccountId, amountCents: 1n };
  return Promise.all(Array.from({ length: count }, () => client.authorize(request, 60_000)));
}

function authorized(answers: readonly AuthorizePaymentResponse[]): number {
  return answers.filter(({ status }) => status === PaymentStatus.PAYMENT_STATUS_AUTHORIZED).length;
}

function limited(answers: readonly AuthorizePaymentResponse[]): number {
  return answers.filter(({ error }) => error?.code === PaymentErrorCode.PAYMENT_ERROR_CODE_RATE_LIMITED).length;
}

test('500 deposits from an EXTERNAL account are authorized, while a customer is limited', async () => {
  const { client } = await system.startApi(LIMIT);
  await client.open('world', { type: AccountType.ACCOUNT_TYPE_EXTERNAL });
  await client.open('customer');
  expect(authorized(await pay(client, 500, 'world', 'customer'))).toBe(500);
  // More than two buckets: where Redis does not answer in time, the API has one of its own.
  const answers = await pay(client, 600, 'customer', 'world');
  expect(limited(answers)).toBeGreaterThan(100);
  expect(authorized(answers) + limited(answers)).toBe(600);
});

test('a limit of their own holds for EXTERNAL accounts from the first payment', async () => {
  const { client } = await system.startApi({
    ...LIMIT,
    RATE_LIMIT_EXTERNAL_CAPACITY: '50',
    RATE_LIMIT_EXTERNAL_REFILL_PER_SECOND: '1',
  });
  await client.open('limited-world', { type: AccountType.ACCOUNT_TYPE_EXTERNAL });
  await client.open('other-customer');
  const deposits = await pay(client, 200, 'limited-world', 'other-customer');
  expect(limited(deposits)).toBeGreaterThan(30);
  expect(authorized(deposits)).toBeGreaterThanOrEqual(50);
  // Customers keep theirs.
  expect(limited(await pay(client, 150, 'other-customer', 'limited-world'))).toBe(0);
});

const FEW = { RATE_LIMIT_CAPACITY: '50', RATE_LIMIT_REFILL_PER_SECOND: '1' };

/** Four payments of 100, and 200 refunds of them of a cent each. */
async function refundOften(client: LedgerClient, payerAccountId: string, payeeAccountId: string) {
  const request = { payerAccountId, payeeAccountId, amountCents: 100n };
  const payments = await Promise.all(Array.from({ length: 4 }, () => client.authorize(request)));
  const answers = await Promise.all(
    Array.from({ length: 200 }, (_, n) => client.refund(payments[n % 4]!.paymentId, { amountCents: 1n })),
  );
  const [taken, others] = [
    answers.filter(({ action }) => action?.error === undefined),
    answers.filter(({ action }) => action?.error !== undefined),
  ];
  for (const { action, payment } of others) {
    expect(action).toMatchObject({ actionId: '', paymentId: payment?.paymentId, amountCents: 1n });
    expect(action?.error?.code).toBe(PaymentErrorCode.PAYMENT_ERROR_CODE_RATE_LIMITED);
    expect(action?.error?.retryAfterMs).toBeGreaterThan(0n);
  }
  const stored = await Promise.all(payments.map(({ paymentId }) => client.actions(paymentId, { pageSize: 1_000 })));
  expect(stored.flatMap(({ actions }) => actions)).toHaveLength(payments.length + taken.length);
  return { taken: taken.length, limited: others.length };
}

test('a refund takes a token of the payee, and none of the payer', async () => {
  const { client } = await system.startApi(FEW);
  await client.openFunded('buyer', 10_000n);
  await client.open('shop');
  const { taken, limited } = await refundOften(client, 'buyer', 'shop');
  expect(taken).toBeGreaterThanOrEqual(50);
  expect(limited).toBeGreaterThan(50);
  // Four of its fifty went to its payments.
  expect(authorized(await pay(client, 40, 'buyer', 'shop'))).toBe(40);
});

test('a batch takes a token for each item that takes one alone, all of them or none', async () => {
  const { client } = await system.startApi({ RATE_LIMIT_CAPACITY: '100', RATE_LIMIT_REFILL_PER_SECOND: '1' });
  await client.openFunded('batch-payer', 10_000n);
  for (const account of ['batch-other', 'batch-payee']) await client.open(account);
  const item = { payerAccountId: 'batch-payer', payeeAccountId: 'batch-payee', amountCents: 10n };
  const paid = await client.authorize(item);
  const { payment } = await client.hold({ ...item, amountCents: 100n });
  const back = transferItem({ payerAccountId: 'batch-other', payeeAccountId: 'batch-payer', amountCents: 1n });
  const refund = refundItem(paid.paymentId, { amountCents: 1n });
  const several = [...Array.from({ length: 59 }, () => transferItem(item)), holdItem(item)];
  const keys: string[] = [];
  const pay = async () => {
    keys.push(crypto.randomUUID());
    return client.batch([refund, ...several], keys.at(-1));
  };
  // More than two buckets, as in the tests above: 61 are taken at a time, 60 of them of the payer's.
  const answers = [await pay(), await pay(), await pay(), await pay(), await pay()];
  const limitedAt = answers.findIndex(({ error }) => error !== undefined);
  expect(limitedAt).toBeGreaterThan(0);
  const limited = answers[limitedAt]!;
  // The refund is the payee's to pay, which has tokens.
  expect(limited).toMatchObject({ batchId: '', declinedItem: 1, actions: [], payments: [] });
  expect(limited.error?.code).toBe(PaymentErrorCode.PAYMENT_ERROR_CODE_RATE_LIMITED);
  expect(limited.error?.retryAfterMs).toBeGreaterThan(10_000n);
  // Nothing was stored, and the key is free for what takes no token of the payer's.
  const captures = Array.from({ length: 98 }, () =>
    captureItem(payment!.paymentId, { amountCents: 1n, keepRemainder: true }),
  );
  const free = await client.batch([refund, ...captures, voidItem(payment!.paymentId)], keys[limitedAt]);
  expect(free.error).toBeUndefined();
  const others = await client.batch([refund, back]);
  expect(others).toMatchObject({
    declinedItem: 1,
    error: { code: PaymentErrorCode.PAYMENT_ERROR_CODE_INSUFFICIENT_FUNDS },
  });
});

test('a batch that takes more tokens than a bucket ever has is INVALID_ARGUMENT', async () => {
  const { client } = await system.startApi({ RATE_LIMIT_CAPACITY: '20', RATE_LIMIT_REFILL_PER_SECOND: '1' });
  const item = transferItem({ payerAccountId: 'eager', payeeAccountId: 'b', amountCents: 1n });
  const error = await rejection(client.batch(Array.from({ length: 21 }, () => item)));
  expect(error.code).toBe(status.INVALID_ARGUMENT);
  expect(error.details).toBe('items take 21 tokens of account eager, more than its rate limit ever has.');
});

test('refunds that an EXTERNAL payee pays are not limited, unless by a limit of its own', async () => {
  const own = { RATE_LIMIT_EXTERNAL_CAPACITY: '60', RATE_LIMIT_EXTERNAL_REFILL_PER_SECOND: '1' };
  const { client: unlimited } = await system.startApi(FEW);
  const { client: limited } = await system.startApi({ ...FEW, ...own });
  await unlimited.openFunded('withdrawer', 10_000n);
  for (const world of ['refunding-world', 'limited-refunding-world']) {
    await unlimited.open(world, { type: AccountType.ACCOUNT_TYPE_EXTERNAL });
  }
  expect(await refundOften(unlimited, 'withdrawer', 'refunding-world')).toEqual({ taken: 200, limited: 0 });
  const answers = await refundOften(limited, 'withdrawer', 'limited-refunding-world');
  expect(answers.taken).toBeGreaterThanOrEqual(60);
  expect(answers.limited).toBeGreaterThan(50);
});
