import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  ActionDeclinedError,
  BatchDeclinedError,
  type BatchItem,
  IdempotencyKeyReusedError,
  type LedgerClient,
  NotFoundError,
  newIdempotencyKey,
  OutcomeUnknownError,
  PaymentDeclinedError,
} from '../../packages/client/src/index.ts';
import { auditBooks } from '../support/books.ts';
import { all, failure, newPayment, openPair, patientClient } from '../support/client.ts';
import { startLateAnswers } from '../support/late-answers.ts';
import { createSystem, type System } from '../support/system.ts';

// Holds, captures, voids, refunds and batches by packages/client.

/** No payment has it. */
const NO_ID = '01M85Q3TTE820EZ9PCVSPH2JRN';

let system: System;
let address: string;
let ledger: LedgerClient;

beforeAll(async () => {
  system = await createSystem();
  ({ address } = await system.startApi());
  ledger = patientClient(address);
  await openPair(ledger, 100_000n);
});
afterAll(async () => {
  ledger?.close();
  expect(await auditBooks(system.database)).toEqual([]);
  await system?.close();
});

const idempotencyKey = newIdempotencyKey;

async function newHold(amountCents: bigint) {
  return (await ledger.holdPayment(newPayment(amountCents))).payment.paymentId;
}

test('a hold is captured in part, then voided, and tells so each time', async () => {
  const request = { ...newPayment(100n), reference: 'room-7', metadata: { nights: '1' }, ttlMs: 90_061_001 };
  const held = await ledger.holdPayment(request);
  const { paymentId } = held.payment;
  expect(held).toMatchObject({
    action: { actionId: paymentId, type: 'HOLD', amountCents: 100n, reference: 'room-7', decline: undefined },
    payment: { status: 'HELD', heldCents: 100n, capturedCents: 0n, metadata: { nights: '1' } },
    duplicate: false,
  });
  const { expiresAt, createdAt } = held.payment;
  expect(Date.parse(expiresAt!) - Date.parse(createdAt)).toBe(90_061_001);

  const capture = { idempotencyKey: idempotencyKey(), paymentId, amountCents: 30n, keepRemainder: true };
  const captured = await ledger.capturePayment(capture);
  expect(captured).toMatchObject({
    action: { type: 'CAPTURE', amountCents: 30n, releasedCents: 0n },
    payment: { status: 'HELD', heldCents: 70n, capturedCents: 30n },
    duplicate: false,
  });
  const voided = await ledger.voidPayment({ idempotencyKey: idempotencyKey(), paymentId, description: 'gone home' });
  expect(voided).toMatchObject({
    action: { type: 'VOID', releasedCents: 70n, description: 'gone home' },
    payment: { status: 'CAPTURED', heldCents: 0n, capturedCents: 30n, releasedCents: 70n },
  });

  // The action as it was, the payment as it is now.
  expect(await ledger.capturePayment(capture)).toEqual({ ...captured, payment: voided.payment, duplicate: true });
  expect(await ledger.holdPayment(request)).toEqual({ ...held, payment: voided.payment, duplicate: true });
  expect(await ledger.getPaymentByKey(capture.idempotencyKey)).toEqual(voided.payment);
  expect(await all(ledger.listPaymentActions(paymentId))).toEqual([held.action, captured.action, voided.action]);
  expect(await all(ledger.listPayments({ reference: 'room-7', statuses: ['CAPTURED'] }))).toEqual([voided.payment]);
  expect(await all(ledger.listPayments({ reference: 'room-7', statuses: ['HELD'] }))).toEqual([]);
});

test('without an amount all that is held is captured, and all that is left refunded', async () => {
  const paymentId = await newHold(50n);
  expect((await ledger.capturePayment({ idempotencyKey: idempotencyKey(), paymentId })).payment).toMatchObject({
    status: 'CAPTURED',
    capturedCents: 50n,
  });
  await ledger.refundPayment({ idempotencyKey: idempotencyKey(), paymentId, amountCents: 20n });
  const rest = await ledger.refundPayment({ idempotencyKey: idempotencyKey(), paymentId });
  expect(rest).toMatchObject({ action: { type: 'REFUND', amountCents: 30n }, payment: { refundedCents: 50n } });
});

test('actions are listed over pages', async () => {
  const { paymentId } = await ledger.authorizePayment(newPayment(60n));
  const refunds: string[] = [];
  for (let i = 0; i < 60; i++) {
    const refund = { idempotencyKey: idempotencyKey(), paymentId, amountCents: 1n };
    refunds.push((await ledger.refundPayment(refund)).action.actionId);
  }
  const actions = await all(ledger.listPaymentActions(paymentId));
  expect(actions.map(({ actionId }) => actionId)).toEqual([paymentId, ...refunds]);
  expect(actions[0]).toMatchObject({ type: 'PAYMENT', amountCents: 60n });
});

describe('declines are errors, the first time and again:', () => {
  test('of a hold', async () => {
    const request = newPayment(1_000_000n);
    const first = await failure(ledger.holdPayment(request));
    expect(first).toBeInstanceOf(PaymentDeclinedError);
    expect(first).toMatchObject({ code: 'INSUFFICIENT_FUNDS', duplicate: false });
    const { paymentId } = first as PaymentDeclinedError;
    expect(await failure(ledger.holdPayment(request))).toMatchObject({ paymentId, duplicate: true });
    expect((await ledger.getPayment(paymentId!)).decline?.code).toBe('INSUFFICIENT_FUNDS');
  });

  test('of a capture, with what is held', async () => {
    const paymentId = await newHold(10n);
    const request = { idempotencyKey: idempotencyKey(), paymentId, amountCents: 11n };
    for (const duplicate of [false, true]) {
      const error = await failure(ledger.capturePayment(request));
      expect(error).toBeInstanceOf(ActionDeclinedError);
      expect(error).toMatchObject({
        code: 'AMOUNT_EXCEEDS_HELD',
        action: { type: 'CAPTURE', amountCents: 11n, decline: { code: 'AMOUNT_EXCEEDS_HELD' } },
        payment: { status: 'HELD', heldCents: 10n },
        duplicate,
      });
    }
  });

  test('of a refund and of a void, with what became of the payment', async () => {
    const paymentId = await newHold(10n);
    await ledger.voidPayment({ idempotencyKey: idempotencyKey(), paymentId });
    const refund = ledger.refundPayment({ idempotencyKey: idempotencyKey(), paymentId, amountCents: 1n });
    expect(await failure(refund)).toMatchObject({ code: 'AMOUNT_EXCEEDS_CAPTURED', payment: { status: 'VOIDED' } });
    const again = ledger.voidPayment({ idempotencyKey: idempotencyKey(), paymentId });
    expect(await failure(again)).toMatchObject({ name: 'ActionDeclinedError', code: 'PAYMENT_NOT_HELD' });
  });

  test('of an amount of zero, with nothing stored', async () => {
    const paymentId = await newHold(10n);
    const request = { idempotencyKey: idempotencyKey(), paymentId };
    expect(await failure(ledger.capturePayment({ ...request, amountCents: 0n }))).toMatchObject({
      code: 'INVALID_AMOUNT',
      action: undefined,
      payment: { heldCents: 10n },
    });
    expect((await ledger.capturePayment(request)).duplicate).toBe(false);
  });
});

test('an action on a payment that there is not is NotFoundError, and not an unknown outcome', async () => {
  const request = { idempotencyKey: idempotencyKey(), paymentId: NO_ID };
  const calls = [ledger.capturePayment(request), ledger.voidPayment(request), ledger.refundPayment(request)];
  for (const error of await Promise.all(calls.map(failure))) expect(error).toBeInstanceOf(NotFoundError);
  expect(await failure(all(ledger.listPaymentActions(NO_ID)))).toBeInstanceOf(NotFoundError);
});

test('a key of another call is named with what differs', async () => {
  const hold = newPayment(10n);
  const { paymentId } = (await ledger.holdPayment(hold)).payment;
  const error = await failure(ledger.authorizePayment(hold));
  expect(error).toBeInstanceOf(IdempotencyKeyReusedError);
  expect(error).toMatchObject({ paymentId, differingFields: ['method'] });
  const capture = { idempotencyKey: idempotencyKey(), paymentId, amountCents: 1n, keepRemainder: true };
  await ledger.capturePayment(capture);
  expect(await failure(ledger.capturePayment({ ...capture, amountCents: 2n }))).toMatchObject({
    differingFields: ['amount_cents'],
  });
});

test.each([1, undefined, null, 2n ** 63n])('%s for the amount of an action is not sent', async (wrong) => {
  const paymentId = await newHold(10n);
  const request = { idempotencyKey: idempotencyKey(), paymentId, amountCents: wrong as bigint };
  expect(await failure(ledger.capturePayment(request))).toBeInstanceOf(TypeError);
  expect(await failure(ledger.refundPayment(request))).toBeInstanceOf(TypeError);
  expect((await ledger.getPayment(paymentId)).heldCents).toBe(10n);
});

test.each([0.5, Number.NaN, '60000'])('%s for ttlMs is not sent', async (ttlMs) => {
  const error = await failure(ledger.holdPayment({ ...newPayment(10n), ttlMs: ttlMs as number }));
  expect(error).toBeInstanceOf(TypeError);
  expect(error.message).toContain('ttlMs');
});

test('a capture whose answer is late is of unknown outcome, and done once when it is repeated', async () => {
  const paymentId = await newHold(10n);
  const late = await startLateAnswers(address, 1_500);
  const impatient = patientClient(late.address);
  // A connection that stands already takes the request along at once.
  await impatient.getBalance('payer');
  const capture = { idempotencyKey: idempotencyKey(), paymentId, amountCents: 4n };
  const error = await failure(impatient.capturePayment(capture, { timeoutMs: 700 }));
  expect(error).toBeInstanceOf(OutcomeUnknownError);
  expect(error).toMatchObject({ idempotencyKey: capture.idempotencyKey });
  impatient.close();
  await late.close();

  expect((await ledger.capturePayment(capture)).payment.capturedCents).toBe(4n);
  const actions = await all(ledger.listPaymentActions(paymentId));
  expect(actions.map(({ type }) => type)).toEqual(['HOLD', 'CAPTURE']);
});

describe('a batch', () => {
  const transfer = (amountCents: bigint) => {
    const { idempotencyKey: _, ...payment } = newPayment(amountCents);
    return { transfer: payment };
  };
  const balance = async (accountId: string) => (await ledger.getBalance(accountId)).postedBalanceCents;

  test('of each kind is done as one, and told of in the order of its items', async () => {
    const [toCapture, toVoid] = [await newHold(40n), await newHold(50n)];
    const { paymentId: toRefund } = await ledger.authorizePayment(newPayment(60n));
    const batch = {
      idempotencyKey: idempotencyKey(),
      items: [
        transfer(7n),
        { hold: { ...transfer(8n).transfer, ttlMs: 60_000 } },
        { capture: { paymentId: toCapture, amountCents: 30n, keepRemainder: true } },
        { void: { paymentId: toVoid, description: 'gone home' } },
        { refund: { paymentId: toRefund } },
      ] satisfies BatchItem[],
    };
    const done = await ledger.executeBatch(batch);
    const { batchId } = done;
    expect(done).toMatchObject({
      duplicate: false,
      actions: [
        { type: 'PAYMENT', amountCents: 7n, actionId: batchId, batchId },
        { type: 'HOLD', amountCents: 8n, batchId },
        { type: 'CAPTURE', amountCents: 30n, releasedCents: 0n, batchId },
        { type: 'VOID', releasedCents: 50n, description: 'gone home', batchId },
        { type: 'REFUND', amountCents: 60n, batchId },
      ],
      payments: [
        { status: 'AUTHORIZED', batchId },
        { status: 'HELD', heldCents: 8n, batchId },
        { paymentId: toCapture, status: 'HELD', heldCents: 10n, batchId: undefined },
        { paymentId: toVoid, status: 'VOIDED', batchId: undefined },
        { paymentId: toRefund, refundedCents: 60n, batchId: undefined },
      ],
    });
    const { createdAt, expiresAt } = done.payments[1]!;
    expect(Date.parse(expiresAt!) - Date.parse(createdAt)).toBe(60_000);
    const byId = (a: { paymentId: string }, b: { paymentId: string }) => (a.paymentId < b.paymentId ? -1 : 1);
    const listed = await all(ledger.listPayments({ batchId }));
    expect(listed.sort(byId)).toEqual(done.payments.toSorted(byId));

    expect(await ledger.executeBatch(batch)).toEqual({ ...done, duplicate: true });
  });

  test('with an item that is declined does nothing, and says which item and why, the first time and again', async () => {
    const before = await balance('payer');
    const batch = { idempotencyKey: idempotencyKey(), items: [transfer(1n), transfer(1_000_000n), transfer(1n)] };
    const first = await failure(ledger.executeBatch(batch));
    expect(first).toBeInstanceOf(BatchDeclinedError);
    expect(first).toMatchObject({
      code: 'INSUFFICIENT_FUNDS',
      message: expect.stringMatching(/^INSUFFICIENT_FUNDS: /),
      declinedItem: 1,
      batchId: expect.any(String),
      duplicate: false,
    });
    const { batchId } = first as BatchDeclinedError;
    expect(await failure(ledger.executeBatch(batch))).toMatchObject({ declinedItem: 1, batchId, duplicate: true });
    expect(await balance('payer')).toBe(before);
    expect(await all(ledger.listPayments({ batchId: batchId! }))).toMatchObject([{ status: 'DECLINED', batchId }]);
  });

  test('with an amount of zero stores nothing, and its key stays free', async () => {
    const key = idempotencyKey();
    const zero = ledger.executeBatch({ idempotencyKey: key, items: [transfer(0n)] });
    expect(await failure(zero)).toMatchObject({ code: 'INVALID_AMOUNT', declinedItem: 0, batchId: undefined });
    const done = await ledger.executeBatch({ idempotencyKey: key, items: [transfer(1n)] });
    expect(done.duplicate).toBe(false);
  });

  test('whose key has another request is not done', async () => {
    const before = await balance('payer');
    const batch = { idempotencyKey: idempotencyKey(), items: [transfer(1n)] };
    const { batchId } = await ledger.executeBatch(batch);
    const error = await failure(ledger.executeBatch({ ...batch, items: [transfer(2n)] }));
    expect(error).toBeInstanceOf(IdempotencyKeyReusedError);
    expect(error).toMatchObject({ paymentId: batchId, differingFields: ['items'] });
    const { transfer: payment } = transfer(1n);
    const alone = ledger.authorizePayment({ ...payment, idempotencyKey: batch.idempotencyKey });
    expect(await failure(alone)).toMatchObject({ differingFields: ['method'] });
    expect(await balance('payer')).toBe(before - 1n);
  });

  test('on a payment that there is not is NotFoundError', async () => {
    const items = [transfer(1n), { void: { paymentId: NO_ID } }];
    const error = await failure(ledger.executeBatch({ idempotencyKey: idempotencyKey(), items }));
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error.message).toContain('items[1].void');
  });

  test.each([
    ['of two kinds', { ...transfer(1n), void: { paymentId: NO_ID } }, 'transfer and void'],
    ['of no kind', {}, 'empty'],
    ['of another kind', { pay: transfer(1n).transfer }, 'items[1].pay'],
    ['whose amount is a number', { capture: { paymentId: NO_ID, amountCents: 1 } }, 'items[1].capture: amountCents'],
    ['whose amount is undefined', { refund: { paymentId: NO_ID, amountCents: undefined } }, 'items[1].refund'],
  ])('with an item %s is not sent', async (_, wrong, named) => {
    const request = { idempotencyKey: idempotencyKey(), items: [transfer(1n), wrong as unknown as BatchItem] };
    const error = await failure(ledger.executeBatch(request));
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toContain('items[1]');
    expect(error.message).toContain(named);
    expect(await failure(ledger.getPaymentByKey(request.idempotencyKey))).toBeInstanceOf(NotFoundError);
  });

  test('whose answer is late is of unknown outcome, and done once when it is repeated', async () => {
    const before = await balance('payer');
    const late = await startLateAnswers(address, 1_500);
    const impatient = patientClient(late.address);
    // A connection that stands already takes the request along at once.
    await impatient.getBalance('payer');
    const batch = { idempotencyKey: idempotencyKey(), items: [transfer(3n), transfer(4n)] };
    const error = await failure(impatient.executeBatch(batch, { timeoutMs: 700 }));
    expect(error).toBeInstanceOf(OutcomeUnknownError);
    expect(error).toMatchObject({ idempotencyKey: batch.idempotencyKey });
    impatient.close();
    await late.close();

    expect((await ledger.executeBatch(batch)).actions).toHaveLength(2);
    expect(await balance('payer')).toBe(before - 7n);
  });
});
