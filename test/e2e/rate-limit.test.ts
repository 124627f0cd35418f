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
  const answers = await pay(client, 300, 'customer', 'world');
  expect(limited(answers)).toBeGreaterThan(50);
  expect(authorized(answers) + limited(answers)).toBe(300);
});

test('a limit of their own holds for EXTERNAL accounts from the first payment', async () => {
  const { client } = await system.startApi({
    ...LIMIT,
    RATE_LIMIT_EXTERNAL_CAPACITY: '50',
    RATE_LIMIT_EXTERNAL_REFILL_PER_SECOND: '1',
  });
  await client.open('limited-world', { type: AccountType.ACCOUNT_TYPE_EXTERNAL });
  await client.open('other-customer');
  const deposits = await pay(client, 100, 'limited-world', 'other-customer');
  expect(limited(deposits)).toBeGreaterThan(30);
  expect(authorized(deposits)).toBeGreaterThanOrEqual(50);
  // Customers keep theirs.
  expect(limited(await pay(client, 150, 'other-customer', 'limited-world'))).toBe(0);
});
