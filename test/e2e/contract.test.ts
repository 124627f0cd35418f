import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AccountType } from '../../src/gen/payment/v1/account.ts';
import { PaymentErrorCode, PaymentStatus } from '../../src/gen/payment/v1/payment.ts';
import type { LedgerClient } from '../../tools/client.ts';
import { errorDetails } from '../support/error-details.ts';
import { rejection } from '../support/rejection.ts';
import { createSystem, type System } from '../support/system.ts';

// The table of the contract, row by row, through a real client.
let system: System;
let client: LedgerClient;

beforeAll(async () => {
  system = await createSystem();
  ({ client } = await system.startApi());
  await client.openFunded('rich', 1_000_000n);
  await client.open('poor');
  await client.open('dollars', { currency: 'USD' });
});
afterAll(() => system.close());

const pay = { payerAccountId: 'rich', payeeAccountId: 'poor', amountCents: 100n };
const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;
const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** How many rows each table that a payment may write to has. */
async function rowCounts() {
  const [row] = await system.database.query<Record<string, bigint>>(
    `select (select count(*) from payments) as payments, (select count(*) from ledger_entries) as entries,
       (select count(*) from idempotency_keys) as keys, (select count(*) from outbox) as events`,
  );
  return row!;
}

describe('AuthorizePayment: requests that cannot be understood', () => {
  test.each([
    ['idempotency_key', { idempotencyKey: '' }],
    ['idempotency_key', { idempotencyKey: 'k'.repeat(256) }],
    ['payer_account_id', { payerAccountId: '' }],
    ['payer_account_id', { payerAccountId: 'a'.repeat(65) }],
    ['payee_account_id', { payeeAccountId: '' }],
    ['payee_account_id', { payeeAccountId: 'a'.repeat(65) }],
    ['currency', { currency: '' }],
    ['currency', { currency: 'rub' }],
    ['currency', { currency: 'ZZZ' }],
    ['description', { description: 'd'.repeat(1_001) }],
    ['description', { description: 'a\0b' }],
  ])('%s is named: %o', async (field, fault) => {
    const before = await rowCounts();
    const error = await rejection(client.authorize({ ...pay, ...fault }));
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    expect(errorDetails(error).badRequest?.fieldViolations.map((violation) => violation.field)).toEqual([field]);
    expect(await rowCounts()).toEqual(before);
  });

  test('every bad field is named at once', async () => {
    const error = await rejection(client.authorize({ idempotencyKey: '', currency: 'x' }));
    expect(errorDetails(error).badRequest?.fieldViolations.map(({ field }) => field)).toEqual([
      'idempotency_key',
      'payer_account_id',
      'payee_account_id',
      'currency',
    ]);
  });

  test('invalid UTF-8 is rejected, not repaired', async () => {
    const error = await rejection(
      new Promise((resolve, reject) => {
        // Field 2 (payer_account_id), two bytes that are no UTF-8.
        client.payments.makeUnaryRequest(
          '/payment.v1.PaymentService/AuthorizePayment',
          (bytes: Buffer) => bytes,
          (bytes: Buffer) => bytes,
          Buffer.from([0x12, 0x02, 0xc3, 0x28]),
          (failure, answer) => (failure === null ? resolve(answer) : reject(failure)),
        );
      }),
    );
    expect(error.code).toBe(status.INVALID_ARGUMENT);
  });

  test('lengths are counted in characters, not in bytes', async () => {
    const account = '口'.repeat(64);
    await client.open(account);
    const answer = await client.authorize({ ...pay, payeeAccountId: account, description: '🧾'.repeat(1_000) });
    expect(answer.status).toBe(PaymentStatus.PAYMENT_STATUS_AUTHORIZED);
  });
});

describe('AuthorizePayment: declined with nothing stored', () => {
  test.each([
    ['an amount of zero', PaymentErrorCode.PAYMENT_ERROR_CODE_INVALID_AMOUNT, { amountCents: 0n }],
    ['a negative amount', PaymentErrorCode.PAYMENT_ERROR_CODE_INVALID_AMOUNT, { amountCents: -1n }],
    ['payer = payee', PaymentErrorCode.PAYMENT_ERROR_CODE_SAME_ACCOUNT, { payeeAccountId: 'rich' }],
  ])('%s, and the key stays free', async (_case, code, fault) => {
    const before = await rowCounts();
    const idempotencyKey = crypto.randomUUID();
    const answer = await client.authorize({ ...pay, ...fault, idempotencyKey });
    expect(answer).toMatchObject({ paymentId: '', status: PaymentStatus.PAYMENT_STATUS_DECLINED, error: { code } });
    expect(await rowCounts()).toEqual(before);
    const retried = await client.authorize({ ...pay, idempotencyKey });
    expect(retried.status).toBe(PaymentStatus.PAYMENT_STATUS_AUTHORIZED);
  });

  test('an empty bucket says when to come back, and the key stays free', async () => {
    const { client } = await system.startApi({ RATE_LIMIT_CAPACITY: '2', RATE_LIMIT_REFILL_PER_SECOND: '1' });
    await client.openFunded('bursty', 1_000n);
    const burst = { ...pay, payerAccountId: 'bursty', amountCents: 1n };
    const before = await rowCounts();
    // Far more than two buckets: where Redis does not answer in time, the API has one of its own.
    const calls = Array.from({ length: 20 }, async () => {
      const idempotencyKey = crypto.randomUUID();
      return { idempotencyKey, answer: await client.authorize({ ...burst, idempotencyKey }) };
    });
    const answers = await Promise.all(calls);
    const limited = answers.filter(({ answer }) => answer.status !== PaymentStatus.PAYMENT_STATUS_AUTHORIZED);
    expect(limited.length).toBeGreaterThan(0);
    for (const { answer } of limited) {
      expect(answer).toMatchObject({
        paymentId: '',
        status: PaymentStatus.PAYMENT_STATUS_DECLINED,
        error: { code: PaymentErrorCode.PAYMENT_ERROR_CODE_RATE_LIMITED },
      });
      const retryAfterMs = Number(answer.error?.retryAfterMs);
      expect(retryAfterMs).toBeGreaterThan(0);
      expect(retryAfterMs).toBeLessThanOrEqual(1_000);
    }
    const authorized = BigInt(answers.length - limited.length);
    const { payments, keys } = await rowCounts();
    expect({ payments, keys }).toEqual({
      payments: before['payments']! + authorized,
      keys: before['keys']! + authorized,
    });
    const [{ idempotencyKey }] = limited as [(typeof limited)[number]];
    const retry = async () => (await client.authorize({ ...burst, idempotencyKey })).status;
    await expect.poll(retry).toBe(PaymentStatus.PAYMENT_STATUS_AUTHORIZED);
  });

  test('one payer who bursts does not hold up another', async () => {
    const { client } = await system.startApi({ RATE_LIMIT_CAPACITY: '1', RATE_LIMIT_REFILL_PER_SECOND: '1' });
    const payers = [...Array.from({ length: 20 }, () => 'one'), 'two'];
    const answers = await Promise.all(payers.map((payerAccountId) => client.authorize({ ...pay, payerAccountId })));
    const codes = answers.map(({ error }) => error?.code);
    expect(codes.slice(0, -1)).toContain(PaymentErrorCode.PAYMENT_ERROR_CODE_RATE_LIMITED);
    expect(codes.at(-1)).toBe(PaymentErrorCode.PAYMENT_ERROR_CODE_ACCOUNT_NOT_FOUND);
  });
});

describe('AuthorizePayment: declined by the books', () => {
  test.each([
    ['an unknown payer', PaymentErrorCode.PAYMENT_ERROR_CODE_ACCOUNT_NOT_FOUND, { payerAccountId: 'nobody' }],
    ['an unknown payee', PaymentErrorCode.PAYMENT_ERROR_CODE_ACCOUNT_NOT_FOUND, { payeeAccountId: 'nobody' }],
    ["not the payer's currency", PaymentErrorCode.PAYMENT_ERROR_CODE_CURRENCY_MISMATCH, { currency: 'USD' }],
    ["not the payee's currency", PaymentErrorCode.PAYMENT_ERROR_CODE_CURRENCY_MISMATCH, { payeeAccountId: 'dollars' }],
    ['too little money', PaymentErrorCode.PAYMENT_ERROR_CODE_INSUFFICIENT_FUNDS, { amountCents: 10_000_000n }],
  ])('%s: stored with its key and event, no entries; DUPLICATE repeats it', async (_case, code, fault) => {
    const before = await rowCounts();
    const request = { ...pay, ...fault, idempotencyKey: crypto.randomUUID() };
    const answer = await client.authorize(request);
    expect(answer).toMatchObject({
      paymentId: expect.stringMatching(ULID),
      status: PaymentStatus.PAYMENT_STATUS_DECLINED,
      error: { code, message: expect.stringMatching(/.+/) },
      processedAt: expect.stringMatching(RFC_3339),
    });
    const after = await rowCounts();
    expect(after).toEqual({
      payments: before['payments']! + 1n,
      keys: before['keys']! + 1n,
      events: before['events']! + 1n,
      entries: before['entries'],
    });

    expect(await client.payment(answer.paymentId)).toEqual({
      paymentId: answer.paymentId,
      payerAccountId: request.payerAccountId,
      payeeAccountId: request.payeeAccountId,
      amountCents: request.amountCents,
      currency: 'RUB',
      description: '',
      ...('currency' in fault ? { currency: fault.currency } : {}),
      status: PaymentStatus.PAYMENT_STATUS_DECLINED,
      createdAt: answer.processedAt,
      updatedAt: answer.processedAt,
      capturedCents: 0n,
      heldCents: 0n,
      releasedCents: 0n,
      refundedCents: 0n,
      expiresAt: '',
      reference: '',
      metadata: {},
      batchId: '',
      error: answer.error,
    });

    const again = await client.authorize(request);
    expect(again).toEqual({
      ...answer,
      status: PaymentStatus.PAYMENT_STATUS_DUPLICATE,
      originalStatus: PaymentStatus.PAYMENT_STATUS_DECLINED,
    });
    expect(await rowCounts()).toEqual(after);
  });
});

describe('AuthorizePayment: authorized', () => {
  test('payment, entries, balances, key and event are there together', async () => {
    await client.openFunded('payer', 500n);
    await client.open('payee');
    const before = await rowCounts();
    const request = { ...pay, payerAccountId: 'payer', payeeAccountId: 'payee', description: 'Обед' };
    const answer = await client.authorize(request);
    expect(answer).toEqual({
      paymentId: expect.stringMatching(ULID),
      status: PaymentStatus.PAYMENT_STATUS_AUTHORIZED,
      error: undefined,
      processedAt: expect.stringMatching(RFC_3339),
      originalStatus: PaymentStatus.PAYMENT_STATUS_UNSPECIFIED,
    });
    expect(await rowCounts()).toEqual({
      payments: before['payments']! + 1n,
      keys: before['keys']! + 1n,
      events: before['events']! + 1n,
      entries: before['entries']! + 2n,
    });
    expect(
      await system.database.query(
        `select account_id, version, direction, amount_cents, balance_after_cents from ledger_entries
         where account_id in ('payer', 'payee') order by account_id, version`,
      ),
    ).toEqual([
      { account_id: 'payee', version: 1n, direction: 'CREDIT', amount_cents: 100n, balance_after_cents: 100n },
      { account_id: 'payer', version: 1n, direction: 'CREDIT', amount_cents: 500n, balance_after_cents: 500n },
      { account_id: 'payer', version: 2n, direction: 'DEBIT', amount_cents: 100n, balance_after_cents: 400n },
    ]);
    expect(await client.balance('payer')).toEqual({
      accountId: 'payer',
      availableBalanceCents: 400n,
      pendingBalanceCents: 0n,
      postedBalanceCents: 400n,
      incomingPendingCents: 0n,
      version: 2n,
      currency: 'RUB',
    });
    expect(await client.payment(answer.paymentId)).toMatchObject({
      status: PaymentStatus.PAYMENT_STATUS_AUTHORIZED,
      description: 'Обед',
      error: undefined,
    });
    const [event] = await system.database.query<{ payload: object; type: string; aggregateid: string }>(
      `select type, aggregateid, payload from outbox where payload->>'paymentId' = '${answer.paymentId}'`,
    );
    expect(event).toMatchObject({
      type: 'payment.authorized.v1',
      aggregateid: 'payer',
      payload: { amountCents: '100', payer: { balanceCents: '400', version: '2' }, payee: { version: '1' } },
    });
  });

  test('amounts beyond 2^53 are exact', async () => {
    const amountCents = 9_007_199_254_740_993n;
    await client.openFunded('vast', amountCents);
    await client.open('other');
    await client.authorize({ payerAccountId: 'vast', payeeAccountId: 'other', amountCents });
    expect((await client.balance('other')).availableBalanceCents).toBe(amountCents);
  });

  test('a balance that would pass int64 is a decline, not an overflow', async () => {
    const external = { type: AccountType.ACCOUNT_TYPE_EXTERNAL };
    const most = 2n ** 63n - 1n;
    await client.open('world-1', external);
    await client.open('full');
    const fill = { payerAccountId: 'world-1', payeeAccountId: 'full', amountCents: most };
    expect((await client.authorize(fill)).status).toBe(PaymentStatus.PAYMENT_STATUS_AUTHORIZED);
    const tooMuch = { ...fill, amountCents: 2n, idempotencyKey: crypto.randomUUID() };
    const answer = await client.authorize(tooMuch);
    expect(answer.status).toBe(PaymentStatus.PAYMENT_STATUS_DECLINED);
    expect(answer.error?.code).toBe(PaymentErrorCode.PAYMENT_ERROR_CODE_INVALID_AMOUNT);
    // Stored, unlike an amount that is not positive, so the key is taken.
    expect(answer.paymentId).toMatch(ULID);
    expect(await client.authorize(tooMuch)).toEqual({
      ...answer,
      status: PaymentStatus.PAYMENT_STATUS_DUPLICATE,
      originalStatus: PaymentStatus.PAYMENT_STATUS_DECLINED,
    });
    expect((await client.balance('full')).availableBalanceCents).toBe(most);
    expect((await client.balance('world-1')).availableBalanceCents).toBe(-most);
  });
});

describe('AuthorizePayment: a key seen before', () => {
  test('same payment: DUPLICATE with the original, whatever the description', async () => {
    const request = { ...pay, idempotencyKey: crypto.randomUUID() };
    const answer = await client.authorize({ ...request, description: 'first' });
    const before = await rowCounts();
    expect(await client.authorize({ ...request, description: 'second' })).toEqual({
      ...answer,
      status: PaymentStatus.PAYMENT_STATUS_DUPLICATE,
      originalStatus: PaymentStatus.PAYMENT_STATUS_AUTHORIZED,
    });
    expect(await rowCounts()).toEqual(before);
  });

  test.each([
    [
      'payer_account_id',
      { payerAccountId: 'poor', payeeAccountId: 'dollars' },
      ['payer_account_id', 'payee_account_id'],
    ],
    ['payee_account_id', { payeeAccountId: 'dollars' }, ['payee_account_id']],
    ['amount_cents', { amountCents: 101n }, ['amount_cents']],
    ['currency', { currency: 'USD' }, ['currency']],
  ])('another %s: ALREADY_EXISTS names what differs', async (_case, difference, fields) => {
    const request = { ...pay, idempotencyKey: crypto.randomUUID() };
    const { paymentId } = await client.authorize(request);
    const before = await rowCounts();
    const error = await rejection(client.authorize({ ...request, ...difference }));
    expect(error.code).toBe(status.ALREADY_EXISTS);
    const info = errorDetails(error).errorInfo;
    expect(info).toMatchObject({ reason: 'IDEMPOTENCY_KEY_REUSED', metadata: { payment_id: paymentId } });
    expect(info?.metadata['fields']?.split(',')).toEqual(fields);
    expect(await rowCounts()).toEqual(before);
  });

  test('at the same time, on two replicas: one payment, every other answer DUPLICATE', async () => {
    const other = (await system.startApi()).client;
    for (let round = 0; round < 20; round++) {
      const request = { ...pay, amountCents: 1n, idempotencyKey: crypto.randomUUID() };
      const answers = await Promise.all(
        [client, other, client, other, client, other].map((replica) => replica.authorize(request)),
      );
      expect(answers.map(({ status }) => status).sort()).toEqual([
        PaymentStatus.PAYMENT_STATUS_AUTHORIZED,
        ...Array(5).fill(PaymentStatus.PAYMENT_STATUS_DUPLICATE),
      ]);
      expect(new Set(answers.map(({ paymentId }) => paymentId)).size).toBe(1);
    }
  });
});

describe('reads of what is not there', () => {
  test.each(['01ARZ3NDEKTSV4RRFFQ69G5FAV', 'not-a-ulid'])('GetPayment %s: NOT_FOUND', async (paymentId) => {
    const error = await rejection(client.payment(paymentId));
    expect(error.code).toBe(status.NOT_FOUND);
    expect(errorDetails(error).resourceInfo).toMatchObject({ resourceName: paymentId });
  });

  test('GetAccountBalance: NOT_FOUND', async () => {
    const error = await rejection(client.balance('nobody'));
    expect(error.code).toBe(status.NOT_FOUND);
    expect(errorDetails(error).resourceInfo).toMatchObject({ resourceName: 'nobody' });
  });
});

describe('OpenAccount', () => {
  test('the same request again answers the account as it was opened', async () => {
    const opened = await client.open('idempotent', { overdraftLimitCents: 50n });
    expect(opened).toMatchObject({ accountId: 'idempotent', overdraftLimitCents: 50n });
    expect(await client.open('idempotent', { overdraftLimitCents: 50n })).toEqual(opened);
  });

  test('another account under the same id: ALREADY_EXISTS names what differs', async () => {
    await client.open('taken');
    const error = await rejection(client.open('taken', { currency: 'USD', overdraftLimitCents: 1n }));
    expect(error.code).toBe(status.ALREADY_EXISTS);
    expect(errorDetails(error).errorInfo).toMatchObject({
      reason: 'ACCOUNT_EXISTS',
      metadata: { fields: 'currency,overdraft_limit_cents' },
    });
  });

  test('many times at once: one account', async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => client.open('raced')));
    expect(new Set(answers.map((account) => account?.openedAt)).size).toBe(1);
  });

  test.each([
    ['account_id', '', {}],
    ['currency', 'x', { currency: 'EURO' }],
    ['type', 'x', { type: AccountType.ACCOUNT_TYPE_UNSPECIFIED }],
    ['overdraft_limit_cents', 'x', { overdraftLimitCents: -1n }],
    ['overdraft_limit_cents', 'x', { type: AccountType.ACCOUNT_TYPE_EXTERNAL, overdraftLimitCents: 1n }],
  ])('a bad %s is named', async (field, accountId, fault) => {
    const error = await rejection(client.open(accountId, fault));
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    expect(errorDetails(error).badRequest?.fieldViolations.map((violation) => violation.field)).toEqual([field]);
  });

  test('an overdraft may be used to its limit and no further', async () => {
    await client.open('overdrawn', { overdraftLimitCents: 100n });
    const request = { ...pay, payerAccountId: 'overdrawn' };
    expect((await client.authorize(request)).status).toBe(PaymentStatus.PAYMENT_STATUS_AUTHORIZED);
    expect((await client.authorize({ ...request, amountCents: 1n })).error?.code).toBe(
      PaymentErrorCode.PAYMENT_ERROR_CODE_INSUFFICIENT_FUNDS,
    );
    expect((await client.balance('overdrawn')).availableBalanceCents).toBe(-100n);
  });
});
