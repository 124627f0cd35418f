import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AccountType } from '../../src/gen/payment/v1/account.ts';
import { type Payment, PaymentActionType, PaymentErrorCode, PaymentStatus } from '../../src/gen/payment/v1/payment.ts';
import type { LedgerClient } from '../../tools/client.ts';
import { auditBooks } from '../support/books.ts';
import { errorDetails } from '../support/error-details.ts';
import { balancesOf, openPair, rowCounts } from '../support/hold-cases.ts';
import { rejection } from '../support/rejection.ts';
import { createSystem, type System } from '../support/system.ts';

// The edges of holds, one test for each row of the table in docs/holds.md.
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

const code = (name: keyof typeof PaymentErrorCode extends `PAYMENT_ERROR_CODE_${infer Name}` ? Name : never) =>
  PaymentErrorCode[`PAYMENT_ERROR_CODE_${name}`];

async function holdOf(amountCents: bigint): Promise<Payment> {
  const pair = await openPair(client);
  return (await client.hold({ ...pair, amountCents })).payment!;
}

describe('a hold counts', () => {
  test('against what the payer may spend, of payments and of further holds', async () => {
    const pair = await openPair(client);
    await client.hold({ ...pair, amountCents: 900n });
    const payment = await client.authorize({ ...pair, amountCents: 101n });
    expect(payment.error?.code).toBe(code('INSUFFICIENT_FUNDS'));
    const hold = await client.hold({ ...pair, amountCents: 101n });
    expect(hold.action!.error?.code).toBe(code('INSUFFICIENT_FUNDS'));
    expect(hold.payment).toMatchObject({ status: PaymentStatus.PAYMENT_STATUS_DECLINED, heldCents: 0n, expiresAt: '' });
    expect((await client.authorize({ ...pair, amountCents: 100n })).error).toBeUndefined();
    expect(await balancesOf(client, pair)).toEqual([0n, 900n, 0n, 100n, 0n, 900n]);
    expect(await client.balance(pair.payerAccountId)).toMatchObject({ postedBalanceCents: 900n, version: 3n });
  });

  test('not for the payee, who cannot spend what is incoming', async () => {
    const { payerAccountId, payeeAccountId } = await holdOf(300n);
    const back = await client.authorize({
      payerAccountId: payeeAccountId,
      payeeAccountId: payerAccountId,
      amountCents: 1n,
    });
    expect(back.error?.code).toBe(code('INSUFFICIENT_FUNDS'));
  });

  test('down to the overdraft limit and no further', async () => {
    const { payeeAccountId } = await openPair(client);
    const payerAccountId = `overdrawn-${crypto.randomUUID().slice(0, 8)}`;
    await client.open(payerAccountId, { overdraftLimitCents: 100n });
    const beyond = await client.hold({ payerAccountId, payeeAccountId, amountCents: 101n });
    expect(beyond.action!.error?.code).toBe(code('INSUFFICIENT_FUNDS'));
    const within = await client.hold({ payerAccountId, payeeAccountId, amountCents: 100n });
    expect(within.action!.error).toBeUndefined();
    expect(await client.balance(payerAccountId)).toMatchObject({
      availableBalanceCents: -100n,
      postedBalanceCents: 0n,
    });
  });
});

describe('edges', () => {
  test('the remainder of a partial capture is released, unless keep_remainder', async () => {
    const released = await client.capture((await holdOf(300n)).paymentId, { amountCents: 1n });
    expect(released.payment).toMatchObject({ heldCents: 0n, releasedCents: 299n });
    const kept = await client.capture((await holdOf(300n)).paymentId, { amountCents: 1n, keepRemainder: true });
    expect(kept.payment).toMatchObject({ heldCents: 299n, releasedCents: 0n });
  });

  test('a capture of more than is held: AMOUNT_EXCEEDS_HELD', async () => {
    const { paymentId } = await holdOf(300n);
    const beyond = await client.capture(paymentId, { amountCents: 301n });
    expect(beyond.action).toMatchObject({ amountCents: 301n, error: { code: code('AMOUNT_EXCEEDS_HELD') } });
    expect(beyond.payment).toMatchObject({ heldCents: 300n });
  });

  test.each([0n, -1n])(
    'a capture of %s: INVALID_AMOUNT, nothing stored, and the key stays free',
    async (amountCents) => {
      const { paymentId } = await holdOf(300n);
      const before = await rowCounts(system.database);
      const idempotencyKey = crypto.randomUUID();
      const { action, payment } = await client.capture(paymentId, { amountCents, idempotencyKey });
      expect(action).toMatchObject({ actionId: '', error: { code: code('INVALID_AMOUNT') } });
      expect(payment).toMatchObject({ heldCents: 300n });
      expect(await rowCounts(system.database)).toEqual(before);
      expect((await client.capture(paymentId, { amountCents: 1n, idempotencyKey })).action!.error).toBeUndefined();
    },
  );

  test('100 captures, then TOO_MANY_ACTIONS; what is left can be voided', async () => {
    const { paymentId } = await holdOf(300n);
    for (let n = 0; n < 100; n++) {
      const { action } = await client.capture(paymentId, { amountCents: 1n, keepRemainder: true });
      expect(action!.error).toBeUndefined();
    }
    const { action } = await client.capture(paymentId, { amountCents: 1n });
    expect(action!.error?.code).toBe(code('TOO_MANY_ACTIONS'));
    const { payment } = await client.void(paymentId);
    expect(payment).toMatchObject({ capturedCents: 100n, releasedCents: 200n });
    const first = await client.actions(paymentId, { pageSize: 60 });
    const second = await client.actions(paymentId, { pageSize: 60, pageToken: first.nextPageToken });
    expect([first.actions.length, second.actions.length, second.nextPageToken]).toEqual([60, 43, '']);
    expect(second.actions.at(-1)!.type).toBe(PaymentActionType.PAYMENT_ACTION_TYPE_VOID);
  });

  test('an action id is no payment: NOT_FOUND', async () => {
    const { paymentId } = await holdOf(300n);
    const { action } = await client.capture(paymentId, { amountCents: 1n, keepRemainder: true });
    for (const call of ['capture', 'void', 'payment', 'actions'] as const) {
      expect((await rejection(client[call](action!.actionId))).code).toBe(status.NOT_FOUND);
    }
  });

  test.each(['01ARZ3NDEKTSV4RRFFQ69G5FAV', 'no-ulid'])('unknown payment %s: NOT_FOUND, nothing stored', async (id) => {
    const before = await rowCounts(system.database);
    expect((await rejection(client.capture(id))).code).toBe(status.NOT_FOUND);
    expect((await rejection(client.void(id))).code).toBe(status.NOT_FOUND);
    expect(await rowCounts(system.database)).toEqual(before);
  });

  test('a decline by the books stores a row, the key and an event, and no entry', async () => {
    const { paymentId } = await holdOf(300n);
    const before = await rowCounts(system.database);
    const idempotencyKey = crypto.randomUUID();
    const declined = await client.capture(paymentId, { amountCents: 301n, idempotencyKey });
    expect(await rowCounts(system.database)).toEqual({
      payments: before['payments']! + 1n,
      keys: before['keys']! + 1n,
      events: before['events']! + 1n,
      entries: before['entries'],
    });
    const again = await client.capture(paymentId, { amountCents: 301n, idempotencyKey });
    expect(again).toEqual({ ...declined, replayed: true });
  });

  test('frozen accounts: new holds are declined, existing ones are captured and voided', async () => {
    const [one, two] = [await holdOf(300n), await holdOf(300n)];
    for (const { payerAccountId, payeeAccountId } of [one, two]) {
      for (const account of [payerAccountId, payeeAccountId]) await client.freeze(account, {});
      const { action } = await client.hold({ payerAccountId, payeeAccountId, amountCents: 1n });
      expect(action!.error?.code).toBe(code('ACCOUNT_FROZEN'));
    }
    expect((await client.capture(one.paymentId, { amountCents: 100n })).action!.error).toBeUndefined();
    expect((await client.void(two.paymentId)).action!.error).toBeUndefined();
  });

  test('an account with an open hold, either way, cannot be closed', async () => {
    const { paymentId, payerAccountId, payeeAccountId } = await holdOf(1_000n);
    for (const account of [payerAccountId, payeeAccountId]) {
      expect((await rejection(client.closeAccount(account))).code).toBe(status.FAILED_PRECONDITION);
    }
    await client.void(paymentId);
    await client.closeAccount(payeeAccountId);
    const { action } = await client.hold({ payerAccountId, payeeAccountId, amountCents: 1n });
    expect(action!.error?.code).toBe(code('ACCOUNT_CLOSED'));
  });

  test('an EXTERNAL payer has no limit, for holds either', async () => {
    const { payeeAccountId } = await openPair(client);
    await client.open('outside', { type: AccountType.ACCOUNT_TYPE_EXTERNAL });
    const { payment } = await client.hold({ payerAccountId: 'outside', payeeAccountId, amountCents: 5_000n });
    expect((await client.capture(payment!.paymentId)).payment).toMatchObject({ capturedCents: 5_000n });
  });

  test('a balance that would pass int64 is a decline, not an overflow', async () => {
    const most = 2n ** 63n - 1n;
    await client.open('beyond', { type: AccountType.ACCOUNT_TYPE_EXTERNAL });
    const { payeeAccountId } = await openPair(client);
    const one = await client.hold({ payerAccountId: 'beyond', payeeAccountId, amountCents: most });
    expect(one.action!.error).toBeUndefined();
    const two = await client.hold({ payerAccountId: 'beyond', payeeAccountId, amountCents: most });
    expect(two.action!.error?.code).toBe(code('INVALID_AMOUNT'));
    await client.authorize({ payerAccountId: 'external-RUB', payeeAccountId, amountCents: 1n });
    expect((await client.capture(one.payment!.paymentId)).action!.error?.code).toBe(code('INVALID_AMOUNT'));
    await client.void(one.payment!.paymentId);
  });

  test.each([
    ['no time at all', { seconds: 0n, nanos: 0 }],
    ['less than a millisecond', { seconds: 0n, nanos: 999_999 }],
    ['less than nothing', { seconds: -1n, nanos: 0 }],
    ['31 days and a nanosecond', { seconds: 31n * 86_400n, nanos: 1 }],
    ['more than int64 of milliseconds', { seconds: 2n ** 62n, nanos: 0 }],
  ])('a hold of %s: INVALID_ARGUMENT names ttl', async (_case, ttl) => {
    const pair = await openPair(client);
    const error = await rejection(client.hold({ ...pair, amountCents: 1n, ttl }));
    expect(errorDetails(error).badRequest?.fieldViolations.map(({ field }) => field)).toEqual(['ttl']);
  });

  test('a hold lasts for seven days, or for the time that it was given, up to 31 days', async () => {
    const pair = await openPair(client);
    const lastsMs = async (ttl?: { seconds: bigint; nanos: number }) => {
      const { payment } = await client.hold({ ...pair, amountCents: 1n, ttl });
      return Date.parse(payment!.expiresAt) - Date.parse(payment!.createdAt);
    };
    expect(await lastsMs()).toBe(7 * 86_400_000);
    expect(await lastsMs({ seconds: 31n * 86_400n, nanos: 0 })).toBe(31 * 86_400_000);
    expect(await lastsMs({ seconds: 60n, nanos: 1_999_999 })).toBe(60_001);
  });

  test('every bad field of a capture is named at once', async () => {
    const error = await rejection(
      client.capture('', { idempotencyKey: '', description: '\0', reference: 'x'.repeat(256) }),
    );
    expect(errorDetails(error).badRequest?.fieldViolations.map(({ field }) => field)).toEqual([
      'idempotency_key',
      'payment_id',
      'description',
      'reference',
    ]);
  });
});

describe('a key', () => {
  test('replayed: the original action verbatim, the payment as it is now', async () => {
    const pair = await openPair(client);
    const hold = { ...pair, amountCents: 300n, idempotencyKey: crypto.randomUUID(), reference: 'order 7' };
    const held = await client.hold(hold);
    const { paymentId } = held.payment!;
    const capture = { amountCents: 100n, keepRemainder: true, idempotencyKey: crypto.randomUUID() };
    const captured = await client.capture(paymentId, capture);
    const { payment: voided } = await client.void(paymentId);

    expect(await client.hold(hold)).toEqual({ action: held.action, payment: voided, replayed: true });
    expect(await client.capture(paymentId, { ...capture, description: 'not compared' })).toEqual({
      action: captured.action,
      payment: voided,
      replayed: true,
    });
  });

  test('reused over methods or with other fields: ALREADY_EXISTS names them, the method among them', async () => {
    const { payerAccountId, payeeAccountId, paymentId } = await holdOf(300n);
    const other = await holdOf(300n);
    const pair = { payerAccountId, payeeAccountId, amountCents: 10n };
    const keys = { pay: crypto.randomUUID(), hold: crypto.randomUUID(), capture: crypto.randomUUID() };
    await client.authorize({ ...pair, idempotencyKey: keys.pay });
    await client.hold({ ...pair, idempotencyKey: keys.hold });
    await client.capture(paymentId, { amountCents: 10n, keepRemainder: true, idempotencyKey: keys.capture });
    const fieldsOf = async (call: Promise<unknown>) => {
      const error = await rejection(call);
      expect(error.code).toBe(status.ALREADY_EXISTS);
      const { errorInfo } = errorDetails(error);
      expect(errorInfo?.reason).toBe('IDEMPOTENCY_KEY_REUSED');
      return errorInfo?.metadata['fields'];
    };
    const { pay, hold, capture: idempotencyKey } = keys;
    expect(await fieldsOf(client.hold({ ...pair, idempotencyKey: pay }))).toBe('method');
    expect(await fieldsOf(client.hold({ ...pair, amountCents: 11n, idempotencyKey: pay }))).toBe('method,amount_cents');
    expect(await fieldsOf(client.authorize({ ...pair, idempotencyKey: hold }))).toBe('method');
    expect(await fieldsOf(client.hold({ ...pair, idempotencyKey: hold, ttl: { seconds: 9n, nanos: 0 } }))).toBe('ttl');
    expect(await fieldsOf(client.authorize({ ...pair, idempotencyKey }))).toBe('method');
    expect(await fieldsOf(client.void(paymentId, { idempotencyKey }))).toBe('method');
    expect(await fieldsOf(client.void(paymentId, { idempotencyKey: hold }))).toBe('method');
    expect(await fieldsOf(client.capture(paymentId, { idempotencyKey }))).toBe('amount_cents,keep_remainder');
    expect(await fieldsOf(client.capture(paymentId, { amountCents: 10n, idempotencyKey }))).toBe('keep_remainder');
    expect(
      await fieldsOf(
        client.capture(other.paymentId, { amountCents: 10n, keepRemainder: true, reference: 'x', idempotencyKey }),
      ),
    ).toBe('payment_id,reference');
  });

  test('of any action finds the payment', async () => {
    const { paymentId } = await holdOf(300n);
    const idempotencyKey = crypto.randomUUID();
    const { payment } = await client.capture(paymentId, { amountCents: 10n, idempotencyKey });
    expect(await client.paymentByKey(idempotencyKey)).toEqual(payment);
  });
});
