import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { reconcile } from '../../src/app/reconciliation/books.ts';
import { AccountEntryType, AccountType } from '../../src/gen/payment/v1/account.ts';
import { PaymentActionType, PaymentErrorCode, PaymentStatus } from '../../src/gen/payment/v1/payment.ts';
import { postgresBooks } from '../../src/infra/postgres/reconciliation/books.ts';
import type { LedgerClient } from '../../tools/client.ts';
import { auditBooks } from '../support/books.ts';
import { errorDetails } from '../support/error-details.ts';
import { endTimeOf, newHold, newPair, newPayment } from '../support/refunds.ts';
import { rejection } from '../support/rejection.ts';
import { createSystem, type System } from '../support/system.ts';

const { PAYMENT_STATUS_AUTHORIZED, PAYMENT_STATUS_DECLINED, PAYMENT_STATUS_HELD, PAYMENT_STATUS_CAPTURED } =
  PaymentStatus;
const { PAYMENT_STATUS_VOIDED, PAYMENT_STATUS_EXPIRED } = PaymentStatus;
const EXCEEDS_CAPTURED = PaymentErrorCode.PAYMENT_ERROR_CODE_AMOUNT_EXCEEDS_CAPTURED;
const FROZEN = PaymentErrorCode.PAYMENT_ERROR_CODE_ACCOUNT_FROZEN;
const { PAYMENT_ACTION_TYPE_REFUND } = PaymentActionType;

let system: System;
let client: LedgerClient;
beforeAll(async () => {
  system = await createSystem();
  ({ client } = await system.startApi());
});
afterAll(async () => {
  expect(await auditBooks(system.database)).toEqual([]);
  expect((await reconcile(postgresBooks(system.database.application))).problems).toEqual([]);
  await system.close();
});

type Refund = Parameters<LedgerClient['refund']>[1];

/** The code of a refund that is declined and stored, and leaves the payment and both accounts as they were. */
async function declineOf(paymentId: string, request?: Refund) {
  const before = await client.payment(paymentId);
  const { payerAccountId, payeeAccountId } = before!;
  const balances = () =>
    Promise.all([payerAccountId, payeeAccountId].map((account) => client.balance(account).catch(() => 'unknown')));
  const balancesBefore = await balances();

  const { action, payment, replayed } = await client.refund(paymentId, request);
  expect(action).toMatchObject({
    paymentId,
    type: PAYMENT_ACTION_TYPE_REFUND,
    amountCents: request?.amountCents ?? 0n,
  });
  expect(action?.actionId, 'it is stored').toHaveLength(26);
  expect(action?.actionId).not.toBe(paymentId);
  expect(replayed).toBe(false);
  expect(payment).toEqual(before);
  expect(await client.payment(paymentId)).toEqual(before);
  expect(await balances()).toEqual(balancesBefore);
  return action?.error?.code;
}

/** Refunds, which must succeed, and returns the payment. */
async function refunded(paymentId: string, request?: Refund) {
  const { action, payment } = await client.refund(paymentId, request);
  expect(action?.error).toBeUndefined();
  expect(action).toMatchObject({ paymentId, type: PAYMENT_ACTION_TYPE_REFUND, releasedCents: 0n });
  expect(await client.payment(paymentId)).toEqual(payment);
  return payment!;
}

const fundsOf = async (accountId: string) => (await client.balance(accountId)).availableBalanceCents;

describe('a refund of a payment that is', () => {
  test('AUTHORIZED: it stays so, and its payee has paid its payer', async () => {
    const { paymentId, payerAccountId, payeeAccountId } = await newPayment(client, 100n);
    expect(await client.payment(paymentId)).toMatchObject({ capturedCents: 100n, refundedCents: 0n });
    const payment = await refunded(paymentId, { amountCents: 30n });
    expect(payment).toMatchObject({ status: PAYMENT_STATUS_AUTHORIZED, capturedCents: 100n, refundedCents: 30n });
    expect(payment).toMatchObject({ amountCents: 100n, heldCents: 0n, releasedCents: 0n, expiresAt: '' });
    expect(await client.balance(payerAccountId)).toMatchObject({
      availableBalanceCents: 930n,
      postedBalanceCents: 930n,
    });
    expect(await client.balance(payeeAccountId)).toMatchObject({ availableBalanceCents: 70n, postedBalanceCents: 70n });
  });

  test('AUTHORIZED: in several parts up to all of it, and not a cent more', async () => {
    const { paymentId, payerAccountId } = await newPayment(client, 100n);
    expect(await declineOf(paymentId, { amountCents: 101n })).toBe(EXCEEDS_CAPTURED);
    await refunded(paymentId, { amountCents: 30n });
    expect(await declineOf(paymentId, { amountCents: 71n })).toBe(EXCEEDS_CAPTURED);
    await refunded(paymentId, { amountCents: 69n });
    expect(await refunded(paymentId, { amountCents: 1n })).toMatchObject({
      status: PAYMENT_STATUS_AUTHORIZED,
      refundedCents: 100n,
    });
    expect(await declineOf(paymentId, { amountCents: 1n })).toBe(EXCEEDS_CAPTURED);
    expect(await declineOf(paymentId), 'all of nothing').toBe(EXCEEDS_CAPTURED);
    expect(await fundsOf(payerAccountId)).toBe(1_000n);
  });

  test('HELD with nothing captured: AMOUNT_EXCEEDS_CAPTURED', async () => {
    const { paymentId } = await newHold(client);
    for (const amountCents of [1n, 100n, undefined]) {
      expect(await declineOf(paymentId, { amountCents })).toBe(EXCEEDS_CAPTURED);
    }
  });

  test('HELD and partly captured: it stays HELD, up to what is captured, and goes on', async () => {
    const { paymentId, payerAccountId, payeeAccountId } = await newHold(client, 100n);
    await client.capture(paymentId, { amountCents: 40n, keepRemainder: true });
    expect(await declineOf(paymentId, { amountCents: 41n })).toBe(EXCEEDS_CAPTURED);
    expect(await refunded(paymentId, { amountCents: 40n })).toMatchObject({
      status: PAYMENT_STATUS_HELD,
      heldCents: 60n,
      capturedCents: 40n,
      refundedCents: 40n,
    });
    expect(await client.balance(payerAccountId)).toMatchObject({
      availableBalanceCents: 940n,
      pendingBalanceCents: 60n,
      postedBalanceCents: 1_000n,
    });
    expect(await client.balance(payeeAccountId)).toMatchObject({
      availableBalanceCents: 0n,
      incomingPendingCents: 60n,
    });
    expect(await declineOf(paymentId)).toBe(EXCEEDS_CAPTURED);

    await client.capture(paymentId, { amountCents: 10n });
    expect(await refunded(paymentId)).toMatchObject({
      status: PAYMENT_STATUS_CAPTURED,
      capturedCents: 50n,
      releasedCents: 50n,
      refundedCents: 50n,
    });
    expect(await fundsOf(payerAccountId)).toBe(1_000n);
  });

  test('CAPTURED: it stays so, up to what was captured and not the amount', async () => {
    const { paymentId } = await newHold(client, 100n);
    await client.capture(paymentId, { amountCents: 60n });
    expect(await declineOf(paymentId, { amountCents: 61n })).toBe(EXCEEDS_CAPTURED);
    expect(await refunded(paymentId, { amountCents: 20n })).toMatchObject({
      status: PAYMENT_STATUS_CAPTURED,
      capturedCents: 60n,
      releasedCents: 40n,
      refundedCents: 20n,
    });
    expect(await declineOf(paymentId, { amountCents: 41n })).toBe(EXCEEDS_CAPTURED);
    expect(await refunded(paymentId)).toMatchObject({ status: PAYMENT_STATUS_CAPTURED, refundedCents: 60n });
  });

  test('CAPTURED in part, the rest voided: what was captured comes back by refund', async () => {
    const { paymentId } = await newHold(client, 100n);
    await client.capture(paymentId, { amountCents: 60n, keepRemainder: true });
    await client.void(paymentId);
    expect(await refunded(paymentId)).toMatchObject({ status: PAYMENT_STATUS_CAPTURED, refundedCents: 60n });
  });

  test('CAPTURED in part, the rest over: what is over is released first', async () => {
    const { paymentId, payerAccountId } = await newHold(client, 100n);
    await client.capture(paymentId, { amountCents: 60n, keepRemainder: true });
    await endTimeOf(system.database, paymentId);
    const { payment } = await client.refund(paymentId, { amountCents: 61n });
    expect(payment).toMatchObject({ status: PAYMENT_STATUS_CAPTURED, releasedCents: 40n, refundedCents: 0n });
    expect(await refunded(paymentId)).toMatchObject({ status: PAYMENT_STATUS_CAPTURED, refundedCents: 60n });
    expect(await fundsOf(payerAccountId)).toBe(1_000n);
  });

  test('VOIDED: AMOUNT_EXCEEDS_CAPTURED', async () => {
    const { paymentId } = await newHold(client);
    expect((await client.void(paymentId)).payment?.status).toBe(PAYMENT_STATUS_VOIDED);
    expect(await declineOf(paymentId, { amountCents: 1n })).toBe(EXCEEDS_CAPTURED);
    expect(await declineOf(paymentId)).toBe(EXCEEDS_CAPTURED);
  });

  test('DECLINED: AMOUNT_EXCEEDS_CAPTURED, also if there is no such account', async () => {
    const pair = await newPair(client);
    for (const request of [
      { ...pair, amountCents: 1_001n },
      { ...pair, amountCents: 1n, payerAccountId: 'nobody' },
      { ...pair, amountCents: 1n, payeeAccountId: 'nobody' },
      { payerAccountId: 'nobody', payeeAccountId: 'no-one', amountCents: 1n },
    ]) {
      const { paymentId, status } = await client.authorize(request);
      expect(status).toBe(PAYMENT_STATUS_DECLINED);
      expect(await declineOf(paymentId, { amountCents: 1n })).toBe(EXCEEDS_CAPTURED);
      expect(await declineOf(paymentId)).toBe(EXCEEDS_CAPTURED);
    }
    const declinedHold = await client.hold({ ...pair, amountCents: 1_001n });
    expect(await declineOf(declinedHold.payment!.paymentId)).toBe(EXCEEDS_CAPTURED);
  });

  test('EXPIRED: AMOUNT_EXCEEDS_CAPTURED', async () => {
    const { paymentId } = await newHold(client);
    await endTimeOf(system.database, paymentId);
    await expect
      .poll(async () => (await client.payment(paymentId))?.status, { timeout: 60_000 })
      .toBe(PAYMENT_STATUS_EXPIRED);
    expect(await declineOf(paymentId, { amountCents: 1n })).toBe(EXCEEDS_CAPTURED);
    expect(await declineOf(paymentId)).toBe(EXCEEDS_CAPTURED);
  });
});

describe('a refund', () => {
  test('of no amount is of all that is left', async () => {
    const { paymentId } = await newPayment(client, 100n);
    await refunded(paymentId, { amountCents: 1n });
    const { action, payment } = await client.refund(paymentId);
    expect(action?.amountCents).toBe(99n);
    expect(payment?.refundedCents).toBe(100n);
  });

  test.each([0n, -1n])('of %s cents is INVALID_AMOUNT, and the key stays free', async (amountCents) => {
    const { paymentId } = await newPayment(client, 100n);
    const idempotencyKey = crypto.randomUUID();
    const { action, payment } = await client.refund(paymentId, { idempotencyKey, amountCents });
    expect(action).toMatchObject({ actionId: '', paymentId, amountCents, type: PAYMENT_ACTION_TYPE_REFUND });
    expect(action?.error?.code).toBe(PaymentErrorCode.PAYMENT_ERROR_CODE_INVALID_AMOUNT);
    expect(payment).toEqual(await client.payment(paymentId));
    expect((await client.actions(paymentId)).actions).toHaveLength(1);
    await refunded(paymentId, { idempotencyKey, amountCents: 1n });
  });

  test('after 100 captures and refunds is TOO_MANY_ACTIONS, and so is a capture', async () => {
    const { paymentId } = await newHold(client, 100n);
    const times = (count: number) => Array.from({ length: count }, (_, n) => n);
    const captures = times(60).map(() => client.capture(paymentId, { amountCents: 1n, keepRemainder: true }));
    for (const { action } of await Promise.all(captures)) expect(action?.error).toBeUndefined();
    const refunds = times(40).map(() => client.refund(paymentId, { amountCents: 1n }));
    for (const { action } of await Promise.all(refunds)) expect(action?.error).toBeUndefined();
    const tooMany = PaymentErrorCode.PAYMENT_ERROR_CODE_TOO_MANY_ACTIONS;
    expect(await declineOf(paymentId, { amountCents: 1n })).toBe(tooMany);
    expect((await client.capture(paymentId, { amountCents: 1n })).action?.error?.code).toBe(tooMany);
  });

  test('that the payee has no funds for is INSUFFICIENT_FUNDS, until it has', async () => {
    const { paymentId, payeeAccountId, payerAccountId } = await newPayment(client, 100n);
    await client.authorize({ payerAccountId: payeeAccountId, payeeAccountId: payerAccountId, amountCents: 60n });
    const poor = PaymentErrorCode.PAYMENT_ERROR_CODE_INSUFFICIENT_FUNDS;
    expect(await declineOf(paymentId)).toBe(poor);
    expect(await declineOf(paymentId, { amountCents: 41n })).toBe(poor);
    await refunded(paymentId, { amountCents: 40n });
    await client.authorize({ payerAccountId, payeeAccountId, amountCents: 60n });
    await refunded(paymentId);
  });

  test('counts what the payee has on hold for others as spent', async () => {
    const { paymentId, payeeAccountId, payerAccountId } = await newPayment(client, 100n);
    await client.hold({ payerAccountId: payeeAccountId, payeeAccountId: payerAccountId, amountCents: 60n });
    expect(await declineOf(paymentId, { amountCents: 41n })).toBe(
      PaymentErrorCode.PAYMENT_ERROR_CODE_INSUFFICIENT_FUNDS,
    );
    await refunded(paymentId, { amountCents: 40n });
    expect(await client.balance(payeeAccountId)).toMatchObject({ availableBalanceCents: 0n, pendingBalanceCents: 60n });
  });

  test('may use the overdraft of the payee', async () => {
    const { payerAccountId } = await newPair(client);
    const payeeAccountId = crypto.randomUUID();
    await client.open(payeeAccountId, { overdraftLimitCents: 10n });
    const { paymentId } = await client.authorize({ payerAccountId, payeeAccountId, amountCents: 100n });
    await client.authorize({ payerAccountId: payeeAccountId, payeeAccountId: payerAccountId, amountCents: 100n });
    expect(await declineOf(paymentId, { amountCents: 11n })).toBe(
      PaymentErrorCode.PAYMENT_ERROR_CODE_INSUFFICIENT_FUNDS,
    );
    await refunded(paymentId, { amountCents: 10n });
    expect(await fundsOf(payeeAccountId)).toBe(-10n);
  });

  test('of a deposit takes the money out of the books again', async () => {
    const [world, customer] = [crypto.randomUUID(), crypto.randomUUID()];
    await client.open(world, { type: AccountType.ACCOUNT_TYPE_EXTERNAL });
    await client.open(customer);
    const { paymentId } = await client.authorize({
      payerAccountId: world,
      payeeAccountId: customer,
      amountCents: 100n,
    });
    await refunded(paymentId);
    expect([await fundsOf(world), await fundsOf(customer)]).toEqual([0n, 0n]);
  });

  test('of a refund, a capture or a hold that is none: NOT_FOUND', async () => {
    const { paymentId } = await newHold(client, 100n);
    const capture = await client.capture(paymentId, { amountCents: 50n, keepRemainder: true });
    const refund = await client.refund(paymentId, { amountCents: 20n });
    const release = await client.void(paymentId);
    const nobodys = `${paymentId.slice(0, -1)}${paymentId.endsWith('0') ? '1' : '0'}`;
    for (const id of [capture, refund, release].map(({ action }) => action!.actionId).concat(nobodys, 'no ULID')) {
      const error = await rejection(client.refund(id, { amountCents: 1n }));
      expect(error.code).toBe(status.NOT_FOUND);
      expect(errorDetails(error).resourceInfo).toMatchObject({ resourceType: 'Payment', resourceName: id });
    }
  });

  test('names every field that is bad', async () => {
    const bad = { idempotencyKey: '', description: 'a\0', reference: 'r'.repeat(256), metadata: { '': '' } };
    const error = await rejection(client.refund('', bad));
    expect(error.code).toBe(status.INVALID_ARGUMENT);
    expect(errorDetails(error).badRequest?.fieldViolations.map(({ field }) => field)).toEqual([
      'idempotency_key',
      'payment_id',
      'description',
      'reference',
      'metadata',
    ]);
  });

  test.each([
    ["the payee's debits", 'payeeAccountId', { debits: true }, FROZEN],
    ["the payee's credits", 'payeeAccountId', { credits: true }, undefined],
    ["the payer's debits", 'payerAccountId', { debits: true }, undefined],
    ["the payer's credits", 'payerAccountId', { credits: true }, FROZEN],
  ] as const)('while %s are frozen', async (_case, side, frozen, code) => {
    const payment = await newPayment(client, 100n);
    await client.freeze(payment[side], frozen);
    if (code === undefined) await refunded(payment.paymentId);
    else expect(await declineOf(payment.paymentId)).toBe(code);
  });

  test.each(['payerAccountId', 'payeeAccountId'] as const)('after %s was closed is ACCOUNT_CLOSED', async (side) => {
    const payment = await newPayment(client, 1_000n);
    if (side === 'payeeAccountId') {
      const { payerAccountId, payeeAccountId } = payment;
      await client.authorize({ payerAccountId: payeeAccountId, payeeAccountId: payerAccountId, amountCents: 1_000n });
    }
    await client.closeAccount(payment[side]);
    expect(await declineOf(payment.paymentId, { amountCents: 1n })).toBe(
      PaymentErrorCode.PAYMENT_ERROR_CODE_ACCOUNT_CLOSED,
    );
  });
});

describe('the key of a refund', () => {
  test('that is used again answers the first action as it was and the payment as it is', async () => {
    const { paymentId } = await newPayment(client, 100n);
    const notes = { description: 'torn', reference: 'return 7', metadata: { shop: '12' } };
    const request = { idempotencyKey: crypto.randomUUID(), amountCents: 10n, ...notes };
    const first = await client.refund(paymentId, request);
    expect(first.action).toMatchObject({ ...notes, amountCents: 10n });
    expect(first.payment).toMatchObject({ description: '', reference: '', metadata: {} });
    await client.refund(paymentId, { amountCents: 20n });
    const again = await client.refund(paymentId, { ...request, description: 'not compared' });
    expect(again).toEqual({ action: first.action, payment: await client.payment(paymentId), replayed: true });
    expect(again.payment?.refundedCents).toBe(30n);
    expect(await client.paymentByKey(request.idempotencyKey)).toEqual(again.payment);
  });

  test('that was declined answers that it was, also when it could be made now', async () => {
    const { paymentId, payerAccountId, payeeAccountId } = await newPayment(client, 100n);
    await client.authorize({ payerAccountId: payeeAccountId, payeeAccountId: payerAccountId, amountCents: 100n });
    const request = { idempotencyKey: crypto.randomUUID() };
    const first = await client.refund(paymentId, request);
    await client.authorize({ payerAccountId, payeeAccountId, amountCents: 100n });
    const again = await client.refund(paymentId, request);
    expect(again).toEqual({ ...first, replayed: true });
    expect(again.action?.error?.code).toBe(PaymentErrorCode.PAYMENT_ERROR_CODE_INSUFFICIENT_FUNDS);
  });

  test.each([
    ['another amount', { amountCents: 11n }, 'amount_cents'],
    ['all that is left', { amountCents: undefined }, 'amount_cents'],
    ['another reference and note', { reference: 'r', metadata: { a: 'b' } }, 'reference,metadata'],
  ])('is ALREADY_EXISTS with %s', async (_case, difference, fields) => {
    const { paymentId } = await newPayment(client, 100n);
    const request = { idempotencyKey: crypto.randomUUID(), amountCents: 10n };
    await client.refund(paymentId, request);
    const error = await rejection(client.refund(paymentId, { ...request, ...difference }));
    expect(error.code).toBe(status.ALREADY_EXISTS);
    expect(errorDetails(error).errorInfo).toMatchObject({ reason: 'IDEMPOTENCY_KEY_REUSED' });
    expect(namedIn(error)).toEqual(fields.split(','));
  });

  test('is ALREADY_EXISTS for another payment', async () => {
    const [one, other] = [await newPayment(client), await newPayment(client)];
    const idempotencyKey = crypto.randomUUID();
    await client.refund(one.paymentId, { idempotencyKey });
    const error = await rejection(client.refund(other.paymentId, { idempotencyKey }));
    expect(error.code).toBe(status.ALREADY_EXISTS);
    expect(namedIn(error)).toHaveLength(1);
  });

  test('is ALREADY_EXISTS for any other method, which is named', async () => {
    const { paymentId, payerAccountId, payeeAccountId } = await newHold(client, 100n);
    const pair = { payerAccountId, payeeAccountId, amountCents: 10n };
    const [paid, held, captured, voided, back] = Array.from({ length: 5 }, () => crypto.randomUUID());
    await client.authorize({ ...pair, idempotencyKey: paid! });
    await client.hold({ ...pair, idempotencyKey: held! });
    await client.capture(paymentId, { idempotencyKey: captured!, amountCents: 10n, keepRemainder: true });
    await client.void(paymentId, { idempotencyKey: voided! });
    await client.refund(paymentId, { idempotencyKey: back!, amountCents: 10n });
    const refund = (idempotencyKey: string) => () => client.refund(paymentId, { idempotencyKey, amountCents: 10n });
    for (const call of [
      ...[paid!, held!, captured!, voided!].map(refund),
      () => client.authorize({ ...pair, idempotencyKey: back! }),
      () => client.hold({ ...pair, idempotencyKey: back! }),
      () => client.capture(paymentId, { idempotencyKey: back!, amountCents: 10n }),
      () => client.void(paymentId, { idempotencyKey: back! }),
    ]) {
      const error = await rejection(call());
      expect(error.code).toBe(status.ALREADY_EXISTS);
      expect(namedIn(error)[0]).toBe('method');
    }
  });

  const namedIn = (error: Parameters<typeof errorDetails>[0]) =>
    errorDetails(error).errorInfo!.metadata['fields']!.split(/, ?/);
});

describe('afterwards', () => {
  test('the refund is among the actions of its payment, declined ones too, and in both statements', async () => {
    const { paymentId, payerAccountId, payeeAccountId } = await newPayment(client, 100n);
    const taken = await client.refund(paymentId, { amountCents: 30n, description: 'half' });
    const declined = await client.refund(paymentId, { amountCents: 71n });
    const { actions } = await client.actions(paymentId);
    expect(actions).toEqual([expect.objectContaining({ actionId: paymentId }), taken.action, declined.action]);

    const entry = { amountCents: 30n, releasedCents: 0n, actionId: taken.action!.actionId, paymentId };
    const [ofPayer] = (await client.entries(payerAccountId)).entries;
    expect(ofPayer).toMatchObject({
      ...entry,
      type: AccountEntryType.ACCOUNT_ENTRY_TYPE_CREDIT,
      postedAfterCents: 930n,
      counterpartyAccountId: payeeAccountId,
    });
    const [ofPayee] = (await client.entries(payeeAccountId)).entries;
    expect(ofPayee).toMatchObject({
      ...entry,
      type: AccountEntryType.ACCOUNT_ENTRY_TYPE_DEBIT,
      postedAfterCents: 70n,
      counterpartyAccountId: payerAccountId,
    });
  });

  test('lists have the payment as it is, once, and no refund as a payment', async () => {
    const { paymentId, payerAccountId, payeeAccountId } = await newPayment(client, 100n);
    await client.refund(paymentId, { amountCents: 30n });
    await client.refund(paymentId);
    const current = await client.payment(paymentId);
    expect(current).toMatchObject({ refundedCents: 100n, updatedAt: (await lastActionOf(paymentId)).createdAt });
    const statuses = [PAYMENT_STATUS_AUTHORIZED];
    expect((await client.listPayments({ accountId: payeeAccountId, statuses })).payments).toEqual([current]);
    const ofPayer = await client.listPayments({ accountId: payerAccountId, statuses });
    expect(ofPayer.payments.map((payment) => payment.paymentId)).toContain(paymentId);
    // The one other is the deposit.
    expect(ofPayer.payments).toHaveLength(2);
  });

  const lastActionOf = async (paymentId: string) => (await client.actions(paymentId)).actions.at(-1)!;
});
