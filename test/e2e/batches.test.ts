import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { reconcile } from '../../src/app/reconciliation/books.ts';
import { ulidToUuid } from '../../src/app/ulid.ts';
import { AccountType } from '../../src/gen/payment/v1/account.ts';
import {
  PaymentActionType,
  type PaymentBatchItem,
  PaymentErrorCode,
  PaymentStatus,
} from '../../src/gen/payment/v1/payment.ts';
import { postgresBooks } from '../../src/infra/postgres/reconciliation/books.ts';
import type { LedgerClient } from '../../tools/client.ts';
import { captureItem, holdItem, refundItem, transferItem, voidItem } from '../support/batches.ts';
import { auditBooks } from '../support/books.ts';
import { balancesOf, rowCounts } from '../support/hold-cases.ts';
import { endTimeOf, freeze, newHold, newPair, newPayment } from '../support/refunds.ts';
import { createSystem, type System } from '../support/system.ts';

// What batches do and what declines them, one test for each row of the tables in docs/batches.md.
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

type Code = keyof typeof PaymentErrorCode extends `PAYMENT_ERROR_CODE_${infer Name}` ? Name : never;
const code = (name: Code) => PaymentErrorCode[`PAYMENT_ERROR_CODE_${name}`];
const { PAYMENT_ACTION_TYPE_PAYMENT, PAYMENT_ACTION_TYPE_HOLD, PAYMENT_ACTION_TYPE_CAPTURE } = PaymentActionType;
const { PAYMENT_ACTION_TYPE_VOID, PAYMENT_ACTION_TYPE_REFUND, PAYMENT_ACTION_TYPE_EXPIRY } = PaymentActionType;
const { PAYMENT_STATUS_AUTHORIZED, PAYMENT_STATUS_DECLINED, PAYMENT_STATUS_HELD } = PaymentStatus;
const { PAYMENT_STATUS_CAPTURED, PAYMENT_STATUS_VOIDED, PAYMENT_STATUS_EXPIRED } = PaymentStatus;

/** The batch, which must be taken, with what is true of all that are. */
async function taken(items: PaymentBatchItem[]) {
  const batch = await client.batch(items);
  expect(batch.error).toBeUndefined();
  expect(batch.declinedItem).toBeUndefined();
  expect(batch.replayed).toBe(false);
  expect(batch.actions).toHaveLength(items.length);
  expect(batch.batchId).toBe(batch.actions[0]!.actionId);
  expect(new Set(batch.actions.map(({ batchId }) => batchId))).toEqual(new Set([batch.batchId]));
  expect(new Set(batch.actions.map(({ createdAt }) => createdAt))).toEqual(new Set([batch.createdAt]));
  expect(batch.actions.map(({ actionId }) => actionId)).toEqual(
    batch.actions.map(({ actionId }) => actionId).toSorted(),
  );
  expect(batch.payments.map(({ paymentId }) => paymentId)).toEqual(batch.actions.map(({ paymentId }) => paymentId));
  for (const payment of batch.payments) expect(payment).toEqual(await client.payment(payment.paymentId));
  return batch;
}

const fundsOf = async (accountId: string) => (await client.balance(accountId)).availableBalanceCents;
const typesOf = (batch: Awaited<ReturnType<typeof taken>>) => batch.actions.map(({ type }) => type);

async function newAccount(currency = 'RUB'): Promise<string> {
  const accountId = `account-${crypto.randomUUID()}`;
  await client.open(accountId, { currency });
  return accountId;
}

describe('a batch of', () => {
  test('transfers: a payment with its fee, in one', async () => {
    const { payerAccountId, payeeAccountId } = await newPair(client);
    const fees = await newAccount();
    const { batchId, actions, payments } = await taken([
      transferItem({
        payerAccountId,
        payeeAccountId,
        amountCents: 95n,
        reference: 'order-1',
        metadata: { part: 'net' },
      }),
      transferItem({ payerAccountId, payeeAccountId: fees, amountCents: 5n, description: 'fee' }),
    ]);
    expect(actions[0]).toMatchObject({ type: PAYMENT_ACTION_TYPE_PAYMENT, amountCents: 95n, reference: 'order-1' });
    expect(actions[1]).toMatchObject({ type: PAYMENT_ACTION_TYPE_PAYMENT, amountCents: 5n, description: 'fee' });
    expect(payments[0]).toMatchObject({ status: PAYMENT_STATUS_AUTHORIZED, batchId, metadata: { part: 'net' } });
    expect(payments[1]).toMatchObject({ status: PAYMENT_STATUS_AUTHORIZED, batchId, payeeAccountId: fees });
    expect(await Promise.all([payerAccountId, payeeAccountId, fees].map(fundsOf))).toEqual([900n, 95n, 5n]);
    const { entries } = await client.entries(payerAccountId);
    expect(entries.map(({ version, amountCents, actionId }) => ({ version, amountCents, actionId }))).toEqual([
      { version: 3n, amountCents: 5n, actionId: actions[1]!.actionId },
      { version: 2n, amountCents: 95n, actionId: actions[0]!.actionId },
      expect.objectContaining({ version: 1n }),
    ]);
  });

  test('transfers in two currencies: an exchange through liquidity accounts', async () => {
    const [rub, usd, rubPool, usdPool] = await Promise.all(['RUB', 'USD', 'RUB', 'USD'].map(newAccount));
    await client.openFunded(rub!, 10_000n);
    await client.openFunded(usdPool!, 500n, 'USD');
    await taken([
      transferItem({ payerAccountId: rub!, payeeAccountId: rubPool!, amountCents: 9_000n }),
      transferItem({ payerAccountId: usdPool!, payeeAccountId: usd!, amountCents: 100n, currency: 'USD' }),
    ]);
    expect(await Promise.all([rub, usd, rubPool, usdPool].map((account) => fundsOf(account!)))).toEqual([
      1_000n,
      100n,
      9_000n,
      400n,
    ]);
  });

  test('a hold and a transfer', async () => {
    const pair = await newPair(client);
    const batch = await taken([
      holdItem({ ...pair, amountCents: 300n, ttl: { seconds: 60n, nanos: 0 } }),
      transferItem({ ...pair, amountCents: 100n }),
    ]);
    expect(typesOf(batch)).toEqual([PAYMENT_ACTION_TYPE_HOLD, PAYMENT_ACTION_TYPE_PAYMENT]);
    const [hold] = batch.payments;
    expect(hold).toMatchObject({ status: PAYMENT_STATUS_HELD, heldCents: 300n, batchId: batch.batchId });
    expect(Date.parse(hold!.expiresAt) - Date.parse(hold!.createdAt)).toBe(60_000);
    expect(await balancesOf(client, pair)).toEqual([600n, 300n, 0n, 100n, 0n, 300n]);
    expect((await client.capture(hold!.paymentId)).payment).toMatchObject({ status: PAYMENT_STATUS_CAPTURED });
  });

  test('a capture of an earlier hold and its fee', async () => {
    const { paymentId, payerAccountId, payeeAccountId } = await newHold(client, 100n);
    const fees = await newAccount();
    const batch = await taken([
      captureItem(paymentId, { amountCents: 80n, reference: 'bill' }),
      transferItem({ payerAccountId: payeeAccountId, payeeAccountId: fees, amountCents: 8n }),
    ]);
    expect(batch.actions[0]).toMatchObject({ type: PAYMENT_ACTION_TYPE_CAPTURE, amountCents: 80n, releasedCents: 20n });
    // The payment was made alone, its capture was not.
    expect(batch.payments[0]).toMatchObject({ status: PAYMENT_STATUS_CAPTURED, capturedCents: 80n, batchId: '' });
    expect(await Promise.all([payerAccountId, payeeAccountId, fees].map(fundsOf))).toEqual([920n, 72n, 8n]);
    expect((await client.actions(paymentId)).actions.at(-1)).toEqual(batch.actions[0]);
  });

  test('a void and a hold in its place', async () => {
    const { paymentId, payerAccountId, payeeAccountId } = await newHold(client, 900n);
    const batch = await taken([voidItem(paymentId), holdItem({ payerAccountId, payeeAccountId, amountCents: 950n })]);
    expect(batch.actions[0]).toMatchObject({ type: PAYMENT_ACTION_TYPE_VOID, amountCents: 0n, releasedCents: 900n });
    expect(batch.payments.map(({ status }) => status)).toEqual([PAYMENT_STATUS_VOIDED, PAYMENT_STATUS_HELD]);
  });

  test('refunds of two payments, of which one was never refunded before', async () => {
    const first = await newPayment(client, 100n);
    const second = await newPayment(client, 50n);
    await client.refund(first.paymentId, { amountCents: 10n });
    const batch = await taken([refundItem(first.paymentId), refundItem(second.paymentId, { amountCents: 20n })]);
    expect(typesOf(batch)).toEqual([PAYMENT_ACTION_TYPE_REFUND, PAYMENT_ACTION_TYPE_REFUND]);
    expect(batch.actions.map(({ amountCents }) => amountCents)).toEqual([90n, 20n]);
    expect(batch.payments.map(({ refundedCents }) => refundedCents)).toEqual([100n, 20n]);
  });

  test('one item', async () => {
    const pair = await newPair(client);
    const { batchId } = await taken([transferItem({ ...pair, amountCents: 1n })]);
    expect((await client.payment(batchId))?.batchId).toBe(batchId);
  });

  test('a hundred items', async () => {
    const pair = await newPair(client);
    await taken(Array.from({ length: 100 }, () => transferItem({ ...pair, amountCents: 1n })));
    expect(await balancesOf(client, pair)).toEqual([900n, 0n, 0n, 100n, 0n, 0n]);
    expect((await client.balance(pair.payerAccountId)).version).toBe(101n);
  });
});

describe('items are decided in their order, each on what the ones before left:', () => {
  test('what the first brings, the second spends; the other way round, it declines the batch', async () => {
    const { payerAccountId, payeeAccountId } = await newPair(client, 100n);
    const last = await newAccount();
    const there = transferItem({ payerAccountId, payeeAccountId, amountCents: 100n });
    const onward = transferItem({ payerAccountId: payeeAccountId, payeeAccountId: last, amountCents: 100n });
    const declined = await client.batch([onward, there]);
    expect(declined).toMatchObject({ declinedItem: 0, error: { code: code('INSUFFICIENT_FUNDS') } });
    await taken([there, onward]);
    expect(await Promise.all([payerAccountId, payeeAccountId, last].map(fundsOf))).toEqual([0n, 0n, 100n]);
  });

  test('a payment is captured in parts, voided and refunded by one batch', async () => {
    const { paymentId, ...pair } = await newHold(client, 100n);
    const batch = await taken([
      captureItem(paymentId, { amountCents: 30n, keepRemainder: true }),
      captureItem(paymentId, { amountCents: 20n, keepRemainder: true }),
      voidItem(paymentId),
      refundItem(paymentId),
    ]);
    expect(batch.actions.map(({ amountCents, releasedCents }) => [amountCents, releasedCents])).toEqual([
      [30n, 0n],
      [20n, 0n],
      [0n, 50n],
      [50n, 0n],
    ]);
    const now = { capturedCents: 50n, releasedCents: 50n, refundedCents: 50n, heldCents: 0n };
    for (const payment of batch.payments) expect(payment).toMatchObject({ ...now, status: PAYMENT_STATUS_CAPTURED });
    expect(await balancesOf(client, pair)).toEqual([1_000n, 0n, 0n, 0n, 0n, 0n]);
  });

  test('a hundred captures of one payment fill it, and the next is one too many', async () => {
    const { paymentId } = await newHold(client, 200n);
    const part = captureItem(paymentId, { amountCents: 1n, keepRemainder: true });
    const declined = await client.batch([...Array.from({ length: 99 }, () => part), captureItem(paymentId)]);
    expect(declined.error).toBeUndefined();
    const other = await newHold(client, 200n);
    const ofOther = captureItem(other.paymentId, { amountCents: 1n, keepRemainder: true });
    await taken(Array.from({ length: 60 }, () => ofOther));
    const beyond = await client.batch(Array.from({ length: 41 }, () => ofOther));
    expect(beyond).toMatchObject({ declinedItem: 40, error: { code: code('TOO_MANY_ACTIONS') } });
    expect(await client.payment(other.paymentId)).toMatchObject({ capturedCents: 60n, heldCents: 140n });
  });
});

describe('the first item that is declined declines the batch, with its place and reason, and nothing happens:', () => {
  /** Declines a batch of a transfer, the item and a transfer, and looks at what is left of it. */
  async function declineOf(item: PaymentBatchItem) {
    const around = await newPair(client);
    const before = await rowCounts(system.database);
    const items = [transferItem({ ...around, amountCents: 10n }), item, transferItem({ ...around, amountCents: 10n })];
    const batch = await client.batch(items);
    expect(batch).toMatchObject({ declinedItem: 1, actions: [], payments: [], replayed: false });
    expect(batch.batchId).toHaveLength(26);
    expect(batch.error?.message).not.toBe('');
    expect(await balancesOf(client, around)).toEqual([1_000n, 0n, 0n, 0n, 0n, 0n]);
    // One row with its key and its event.
    expect(await rowCounts(system.database)).toEqual({
      payments: before['payments']! + 1n,
      keys: before['keys']! + 1n,
      entries: before['entries']!,
      events: before['events']! + 1n,
    });
    const [row] = await system.database.query<{
      status: string;
      item: number;
      type: string;
      batch: string;
    }>(
      `select status, batch_item as item, outbox.type, payload ->> 'batchId' as batch
       from payments join outbox on outbox.id = payment_id where payment_id = $1`,
      [ulidToUuid(batch.batchId)],
    );
    const type = item.transfer || item.hold ? 'payment.declined.v1' : 'payment.action_declined.v1';
    expect(row).toEqual({ status: 'DECLINED', item: 1, type, batch: batch.batchId });
    return batch;
  }

  const codeOf = async (item: PaymentBatchItem) => (await declineOf(item)).error?.code;

  test('INSUFFICIENT_FUNDS of a transfer, and the payment is found as DECLINED', async () => {
    const pair = await newPair(client, 100n);
    const { batchId, error } = await declineOf(transferItem({ ...pair, amountCents: 101n }));
    expect(error?.code).toBe(code('INSUFFICIENT_FUNDS'));
    expect(await client.payment(batchId)).toMatchObject({
      ...pair,
      paymentId: batchId,
      batchId,
      status: PAYMENT_STATUS_DECLINED,
      amountCents: 101n,
      error: { code: code('INSUFFICIENT_FUNDS') },
    });
  });

  test('INSUFFICIENT_FUNDS of a hold', async () => {
    expect(await codeOf(holdItem({ ...(await newPair(client)), amountCents: 1_001n }))).toBe(
      code('INSUFFICIENT_FUNDS'),
    );
  });

  test('INSUFFICIENT_FUNDS of a refund, whose payee has spent the money', async () => {
    const { paymentId, payerAccountId, payeeAccountId } = await newPayment(client, 100n);
    await client.authorize({ payerAccountId: payeeAccountId, payeeAccountId: payerAccountId, amountCents: 50n });
    expect(await codeOf(refundItem(paymentId))).toBe(code('INSUFFICIENT_FUNDS'));
  });

  test('ACCOUNT_NOT_FOUND', async () => {
    const pair = await newPair(client);
    const unknown = `nobody-${crypto.randomUUID()}`;
    for (const item of [transferItem, holdItem]) {
      expect(await codeOf(item({ ...pair, payeeAccountId: unknown, amountCents: 1n }))).toBe(code('ACCOUNT_NOT_FOUND'));
      expect(await codeOf(item({ ...pair, payerAccountId: unknown, amountCents: 1n }))).toBe(code('ACCOUNT_NOT_FOUND'));
    }
  });

  test('CURRENCY_MISMATCH', async () => {
    const pair = await newPair(client);
    expect(await codeOf(transferItem({ ...pair, amountCents: 1n, currency: 'USD' }))).toBe(code('CURRENCY_MISMATCH'));
  });

  test('ACCOUNT_FROZEN', async () => {
    const pair = await newPair(client);
    await freeze(system.database, pair.payeeAccountId, { credits: true });
    expect(await codeOf(transferItem({ ...pair, amountCents: 1n }))).toBe(code('ACCOUNT_FROZEN'));
  });

  test('ACCOUNT_CLOSED', async () => {
    const pair = await newPair(client);
    await client.closeAccount(pair.payeeAccountId);
    expect(await codeOf(holdItem({ ...pair, amountCents: 1n }))).toBe(code('ACCOUNT_CLOSED'));
  });

  test('INVALID_AMOUNT, of a balance that would leave int64', async () => {
    const [world, pool] = [`world-${crypto.randomUUID()}`, await newAccount()];
    await client.open(world, { type: AccountType.ACCOUNT_TYPE_EXTERNAL });
    const most = 2n ** 63n - 1n;
    await client.authorize({ payerAccountId: world, payeeAccountId: pool, amountCents: most });
    const beyond = transferItem({ payerAccountId: world, payeeAccountId: pool, amountCents: most });
    expect(await codeOf(beyond)).toBe(code('INVALID_AMOUNT'));
  });

  test('PAYMENT_NOT_HELD of a capture and of a void', async () => {
    const { paymentId } = await newPayment(client, 100n);
    expect(await codeOf(captureItem(paymentId))).toBe(code('PAYMENT_NOT_HELD'));
    expect(await codeOf(voidItem(paymentId))).toBe(code('PAYMENT_NOT_HELD'));
  });

  test('AMOUNT_EXCEEDS_HELD, and the attempt is among the actions of the payment', async () => {
    const { paymentId } = await newHold(client, 100n);
    const { batchId, error, createdAt } = await declineOf(captureItem(paymentId, { amountCents: 101n }));
    expect(error?.code).toBe(code('AMOUNT_EXCEEDS_HELD'));
    const attempt = {
      actionId: batchId,
      paymentId,
      batchId,
      createdAt,
      type: PAYMENT_ACTION_TYPE_CAPTURE,
      amountCents: 101n,
    };
    expect((await client.actions(paymentId)).actions.at(-1)).toMatchObject({ ...attempt, error });
    expect(await client.payment(paymentId)).toMatchObject({
      status: PAYMENT_STATUS_HELD,
      heldCents: 100n,
      batchId: '',
    });
  });

  test('AMOUNT_EXCEEDS_CAPTURED', async () => {
    const { paymentId } = await newPayment(client, 100n);
    expect(await codeOf(refundItem(paymentId, { amountCents: 101n }))).toBe(code('AMOUNT_EXCEEDS_CAPTURED'));
    expect(await client.payment(paymentId)).toMatchObject({ refundedCents: 0n });
  });

  test('TOO_MANY_ACTIONS', async () => {
    const { paymentId } = await newPayment(client, 200n);
    await taken(Array.from({ length: 100 }, () => refundItem(paymentId, { amountCents: 1n })));
    expect(await codeOf(refundItem(paymentId, { amountCents: 1n }))).toBe(code('TOO_MANY_ACTIONS'));
  });

  test('of two declined items the first counts', async () => {
    const pair = await newPair(client, 100n);
    const batch = await client.batch([
      transferItem({ ...pair, amountCents: 60n }),
      transferItem({ ...pair, amountCents: 60n }),
      transferItem({ ...pair, amountCents: 1n, currency: 'USD' }),
    ]);
    expect(batch).toMatchObject({ declinedItem: 1, error: { code: code('INSUFFICIENT_FUNDS') } });
  });

  test('PAYMENT_EXPIRED: the hold expires first, whatever becomes of the batch', async () => {
    const { paymentId, ...pair } = await newHold(client, 100n);
    await endTimeOf(system.database, paymentId);
    const around = await newPair(client);
    const { batchId, error, declinedItem } = await client.batch([
      transferItem({ ...around, amountCents: 10n }),
      captureItem(paymentId),
    ]);
    expect({ code: error?.code, declinedItem }).toEqual({ code: code('PAYMENT_EXPIRED'), declinedItem: 1 });
    expect(await client.payment(paymentId)).toMatchObject({ status: PAYMENT_STATUS_EXPIRED, releasedCents: 100n });
    // By the batch, or by the sweeper just before it: in either order of the tables the same.
    const { actions } = await client.actions(paymentId);
    expect(actions.map(({ type, batchId: of }) => [type, of])).toEqual([
      [PAYMENT_ACTION_TYPE_HOLD, ''],
      [PAYMENT_ACTION_TYPE_EXPIRY, ''],
      [PAYMENT_ACTION_TYPE_CAPTURE, batchId],
    ]);
    expect(await balancesOf(client, pair)).toEqual([1_000n, 0n, 0n, 0n, 0n, 0n]);
    expect(await balancesOf(client, around)).toEqual([1_000n, 0n, 0n, 0n, 0n, 0n]);
  });
});
