import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  AccountExistsError,
  IdempotencyKeyReusedError,
  InvalidRequestError,
  LedgerClient,
  NotFoundError,
  newIdempotencyKey,
  OutcomeUnknownError,
  PaymentDeclinedError,
  TokenError,
} from '../../packages/client/src/index.ts';
import { freePorts } from '../../tools/stack/free-port.ts';
import { all, failure, newPayment as paymentOf } from '../support/client.ts';
import { type ApiProcess, createSystem, type System } from '../support/system.ts';

// packages/client against the service; test/slow/callers.test.ts packs and installs it.
let system: System;
let port: number;
let api: ApiProcess;
let ledger: LedgerClient;

/** This machine may be busy. */
const PATIENT = { insecure: true, timeoutMs: 60_000, maxAttempts: 100 };

beforeAll(async () => {
  system = await createSystem();
  [port] = (await freePorts(1)) as [number];
  api = await system.startApi({ GRPC_PORT: String(port) });
  ledger = new LedgerClient(api.address, PATIENT);
  await ledger.openAccount({ accountId: 'world', currency: 'RUB', type: 'EXTERNAL' });
  await ledger.openAccount({ accountId: 'payer', currency: 'RUB', overdraftLimitCents: 10n });
  await ledger.openAccount({ accountId: 'payee', currency: 'RUB' });
  await ledger.authorizePayment({
    ...newPayment(),
    payerAccountId: 'world',
    payeeAccountId: 'payer',
    amountCents: 5_000n,
  });
});
afterAll(async () => {
  ledger?.close();
  await system?.close();
});

const newPayment = () => paymentOf(1n);

describe('payments', () => {
  test('are made once, and read by id and by key', async () => {
    const payment = { ...newPayment(), amountCents: 20n, reference: 'order-1', metadata: { cart: '7' } };
    const paid = await ledger.authorizePayment(payment);
    expect(paid.duplicate).toBe(false);
    expect(await ledger.authorizePayment(payment)).toEqual({ ...paid, duplicate: true });
    const stored = await ledger.getPayment(paid.paymentId);
    expect(stored).toEqual({
      ...payment,
      idempotencyKey: undefined,
      paymentId: paid.paymentId,
      status: 'AUTHORIZED',
      capturedCents: 20n,
      heldCents: 0n,
      releasedCents: 0n,
      refundedCents: 0n,
      expiresAt: undefined,
      description: '',
      createdAt: paid.processedAt,
      updatedAt: paid.processedAt,
      decline: undefined,
    });
    expect(await ledger.getPaymentByKey(payment.idempotencyKey)).toEqual(stored);
  });

  test('that are declined are errors, the first time and again', async () => {
    const payment = { ...newPayment(), amountCents: 1_000_000n };
    const first = await failure(ledger.authorizePayment(payment));
    expect(first).toBeInstanceOf(PaymentDeclinedError);
    expect(first).toMatchObject({
      code: 'INSUFFICIENT_FUNDS',
      duplicate: false,
      idempotencyKey: payment.idempotencyKey,
    });
    const { paymentId } = first as PaymentDeclinedError;
    expect(await failure(ledger.authorizePayment(payment))).toMatchObject({
      name: 'PaymentDeclinedError',
      code: 'INSUFFICIENT_FUNDS',
      duplicate: true,
      paymentId,
    });
    expect(await ledger.getPayment(paymentId!)).toMatchObject({
      status: 'DECLINED',
      decline: { code: 'INSUFFICIENT_FUNDS' },
    });
  });

  test('with a key of another one name it', async () => {
    const payment = newPayment();
    const { paymentId } = await ledger.authorizePayment(payment);
    const error = await failure(ledger.authorizePayment({ ...payment, amountCents: 2n }));
    expect(error).toBeInstanceOf(IdempotencyKeyReusedError);
    expect(error).toMatchObject({ paymentId, differingFields: ['amount_cents'] });
  });

  test('that break the contract name every bad field', async () => {
    const error = await failure(ledger.authorizePayment({ ...newPayment(), idempotencyKey: '', currency: 'rub' }));
    expect(error).toBeInstanceOf(InvalidRequestError);
    const { violations, requestId } = error as InvalidRequestError;
    expect(violations.map(({ field }) => field)).toEqual(['idempotency_key', 'currency']);
    expect(requestId).toMatch(/./);
  });

  test.each([1, 1.5, 2n ** 63n])('with %s for an amount are not sent', async (amountCents) => {
    const payment = { ...newPayment(), amountCents: amountCents as bigint };
    expect(await failure(ledger.authorizePayment(payment))).toBeInstanceOf(TypeError);
    expect(await failure(ledger.getPaymentByKey(payment.idempotencyKey))).toBeInstanceOf(NotFoundError);
  });
});

test('lists go over pages', async () => {
  const reference = newIdempotencyKey();
  const ids: string[] = [];
  for (let i = 0; i < 60; i++) ids.push((await ledger.authorizePayment({ ...newPayment(), reference })).paymentId);
  expect((await all(ledger.listPayments({ reference }))).map(({ paymentId }) => paymentId)).toEqual(ids.toReversed());
  expect(await all(ledger.listPayments({ reference, accountId: 'payer', role: 'PAYEE' }))).toEqual([]);
  const entries = await all(ledger.listEntries('payer', { oldestFirst: true }));
  expect(entries.length).toBeGreaterThan(60);
  expect(entries[0]).toMatchObject({
    version: 1n,
    type: 'CREDIT',
    amountCents: 5_000n,
    counterpartyAccountId: 'world',
  });
  expect(entries.at(-1)).toMatchObject({ type: 'DEBIT', paymentId: ids.at(-1) });
  expect((await ledger.getBalance('payer')).availableBalanceCents).toBe(entries.at(-1)!.postedAfterCents);
});

test('an account that is there is not opened as another', async () => {
  expect(await ledger.openAccount({ accountId: 'payer', currency: 'RUB', overdraftLimitCents: 10n })).toEqual(
    await ledger.getAccount('payer'),
  );
  const error = await failure(ledger.openAccount({ accountId: 'payer', currency: 'USD', type: 'EXTERNAL' }));
  expect(error).toBeInstanceOf(AccountExistsError);
  expect((error as AccountExistsError).differingFields).toContain('currency');
});

describe('tokens', () => {
  test('are asked for before each call', async () => {
    let asked = 0;
    const client = new LedgerClient(api.address, { ...PATIENT, token: async () => `token-${++asked}` });
    await client.getBalance('payer');
    await client.getBalance('payer');
    expect(asked).toBe(2);
    client.close();
  });

  test.each([
    ['fails', () => Promise.reject(new Error('no issuer'))],
    ['takes too long', () => new Promise<string>(() => undefined)],
  ])('a function that %s ends the call before it is sent', async (_case, token) => {
    const client = new LedgerClient(api.address, { insecure: true, timeoutMs: 200, token });
    const payment = newPayment();
    expect(await failure(client.authorizePayment(payment))).toBeInstanceOf(TokenError);
    expect(await failure(ledger.getPaymentByKey(payment.idempotencyKey))).toBeInstanceOf(NotFoundError);
    client.close();
  });
});

test.each([
  ['insecure and tls', { insecure: true, tls: {} }],
  ['tls.cert', { tls: { cert: 'PEM' } }],
  ['timeoutMs', { timeoutMs: 0 }],
  ['maxAttempts', { maxAttempts: Number.NaN }],
])('options that make no sense are named: %s', (name, options) => {
  expect(() => new LedgerClient('localhost:1', options)).toThrow(name);
});

test('a payment is repeated until the service is back, and made once', async () => {
  await api.stop();
  const impatient = new LedgerClient(api.address, { ...PATIENT, maxAttempts: 1 });
  const payment = newPayment();
  const error = await failure(impatient.authorizePayment(payment));
  expect(error).toBeInstanceOf(OutcomeUnknownError);
  expect(error).toMatchObject({ idempotencyKey: payment.idempotencyKey, cause: { name: 'UnavailableError' } });
  impatient.close();

  const before = await system.database.query<{ count: bigint }>('select count(*) from payments');
  const paying = ledger.authorizePayment(payment);
  await system.startApi({ GRPC_PORT: String(port) });
  expect((await paying).duplicate).toBe(false);
  const after = await system.database.query<{ count: bigint }>('select count(*) from payments');
  expect(after[0]!.count - before[0]!.count).toBe(1n);
});
