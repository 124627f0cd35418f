import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type PaymentAction, PaymentActionType, PaymentErrorCode } from '../../src/gen/payment/v1/payment.ts';
import type { LedgerClient } from '../../tools/client.ts';
import { auditBooks } from '../support/books.ts';
import { errorDetails } from '../support/error-details.ts';
import { openPair } from '../support/hold-cases.ts';
import { createSystem, type System } from '../support/system.ts';

// Two API processes that decide on the same payments at the same time.
let system: System;
let one: LedgerClient;
let two: LedgerClient;
beforeAll(async () => {
  system = await createSystem();
  [{ client: one }, { client: two }] = await Promise.all([system.startApi(), system.startApi()]);
});
afterAll(async () => {
  expect(await auditBooks(system.database)).toEqual([]);
  await system.close();
});

const ROUNDS = 40;

async function holds(count: number, amountCents: bigint, ttl?: { seconds: bigint; nanos: number }): Promise<string[]> {
  const pair = await openPair(one);
  await one.authorize({ payerAccountId: 'external-RUB', payeeAccountId: pair.payerAccountId, amountCents: 100_000n });
  const held = await Promise.all(Array.from({ length: count }, () => one.hold({ ...pair, amountCents, ttl })));
  return held.map(({ payment }) => payment!.paymentId);
}

/** The actions that were taken on the payment, without the hold itself. */
async function taken(paymentId: string): Promise<PaymentAction[]> {
  const { actions } = await one.actions(paymentId);
  return actions.slice(1).filter(({ error }) => error === undefined);
}

test('capture against void: one of them takes it all, the other is declined', async () => {
  for (const paymentId of await holds(ROUNDS, 10n)) {
    const [captured, voided] = await Promise.all([one.capture(paymentId), two.void(paymentId)]);
    const declines = [captured, voided].flatMap(({ action }) => action?.error ?? []);
    expect(declines.map(({ code }) => code)).toEqual([PaymentErrorCode.PAYMENT_ERROR_CODE_PAYMENT_NOT_HELD]);
    expect(await taken(paymentId)).toHaveLength(1);
  }
});

test('capture against void against expiry: exactly one of them takes it all', async () => {
  const winners = new Set<PaymentActionType>();
  for (let round = 0; round < 5; round++) {
    const ids = await holds(ROUNDS, 10n, { seconds: 0n, nanos: 400_000_000 });
    await Promise.all(
      ids.map(async (paymentId, n) => {
        // Spread over the end of the hold's time.
        await new Promise((resume) => setTimeout(resume, n * 20));
        await Promise.all([one.capture(paymentId), two.void(paymentId)]);
      }),
    );
    for (const paymentId of ids) {
      await expect.poll(() => taken(paymentId), { timeout: 60_000 }).toHaveLength(1);
      const [{ type, amountCents, releasedCents }] = (await taken(paymentId)) as [PaymentAction];
      expect(amountCents + releasedCents).toBe(10n);
      winners.add(type);
    }
  }
  expect(winners, 'the test means to see holds expire').toContain(PaymentActionType.PAYMENT_ACTION_TYPE_EXPIRY);
});

test('two captures of one remainder: one gets it, the other is declined', async () => {
  for (const paymentId of await holds(ROUNDS, 10n)) {
    const capture = { amountCents: 6n, keepRemainder: true };
    const answers = await Promise.all([one.capture(paymentId, capture), two.capture(paymentId, capture)]);
    const codes = answers.flatMap(({ action }) => action?.error?.code ?? []);
    expect(codes).toEqual([PaymentErrorCode.PAYMENT_ERROR_CODE_AMOUNT_EXCEEDS_HELD]);
  }
});

test('many captures of one payment: as many as it holds', async () => {
  const [paymentId = ''] = await holds(1, 10n);
  const answers = await Promise.all(
    Array.from({ length: 30 }, (_, n) =>
      [one, two][n % 2]!.capture(paymentId, { amountCents: 1n, keepRemainder: true }),
    ),
  );
  expect(answers.filter(({ action }) => action?.error === undefined)).toHaveLength(10);
  expect(await one.payment(paymentId)).toMatchObject({ heldCents: 0n, capturedCents: 10n });
});

test('one key over two methods: one of them is done, the other is told', async () => {
  const pair = await openPair(one);
  for (const paymentId of await holds(ROUNDS, 10n)) {
    const [first, later] = [crypto.randomUUID(), crypto.randomUUID()];
    const request = { ...pair, amountCents: 1n, idempotencyKey: first };
    const results = await Promise.allSettled([one.authorize(request), two.hold(request)]);
    expectOneReused(results);
    const idempotencyKey = later;
    expectOneReused(
      await Promise.allSettled([one.capture(paymentId, { idempotencyKey }), two.void(paymentId, { idempotencyKey })]),
    );
    expect(await taken(paymentId)).toHaveLength(1);
  }
});

function expectOneReused(results: readonly PromiseSettledResult<unknown>[]): void {
  const rejected = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
  expect(rejected.map(({ code }) => code)).toEqual([status.ALREADY_EXISTS]);
  expect(errorDetails(rejected[0]).errorInfo?.metadata['fields']).toBe('method');
}

test('one capture many times at once, on both: done once, the same answer for all', async () => {
  const [paymentId = ''] = await holds(1, 10n);
  const request = { amountCents: 3n, keepRemainder: true, idempotencyKey: crypto.randomUUID() };
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, n) => [one, two][n % 2]!.capture(paymentId, request)),
  );
  expect(answers.filter(({ replayed }) => !replayed)).toHaveLength(1);
  expect(new Set(answers.map(({ action }) => action?.actionId)).size).toBe(1);
  expect(await one.payment(paymentId)).toMatchObject({ heldCents: 7n });
});
