import { afterAll, beforeAll, expect, test } from 'vitest';
import { AccountType } from '../../src/gen/payment/v1/account.ts';
import { type AuthorizePaymentResponse, PaymentErrorCode, PaymentStatus } from '../../src/gen/payment/v1/payment.ts';
import type { LedgerClient } from '../../tools/client.ts';
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
