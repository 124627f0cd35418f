import { describe, expect, test } from 'vitest';
import type { Balance } from '../../../src/app/domain/account.ts';
import { authorize, INT64_MAX, INT64_MIN, precheck, rateLimited } from '../../../src/app/domain/authorize.ts';
import type { PaymentRequest } from '../../../src/app/domain/payment.ts';

const request: PaymentRequest = {
  payerAccountId: 'acc-001',
  payeeAccountId: 'acc-002',
  amountCents: 100n,
  currency: 'RUB',
  description: '',
};

function balance(accountId: string, overrides: Partial<Balance> = {}): Balance {
  return {
    accountId,
    currency: 'RUB',
    overdraftLimitCents: 0n,
    availableCents: 100n,
    pendingCents: 0n,
    incomingCents: 0n,
    version: 7n,
    debitsFrozen: false,
    creditsFrozen: false,
    closed: false,
    ...overrides,
  };
}

const payer = balance('acc-001');
const payee = balance('acc-002');

describe('precheck', () => {
  test.each([0n, -1n, INT64_MIN])('declines an amount of %d', (amountCents) => {
    expect(precheck({ ...request, amountCents })?.code).toBe('INVALID_AMOUNT');
  });

  test('declines one account on both sides', () => {
    expect(precheck({ ...request, payeeAccountId: 'acc-001' })?.code).toBe('SAME_ACCOUNT');
  });

  test('lets the smallest and the largest amount pass', () => {
    expect(precheck({ ...request, amountCents: 1n })).toBeUndefined();
    expect(precheck({ ...request, amountCents: INT64_MAX })).toBeUndefined();
  });
});

test('rateLimited says when to come back', () => {
  expect(rateLimited(request, 250)).toEqual({ code: 'RATE_LIMITED', message: expect.stringContaining('250 ms') });
});

describe('authorize', () => {
  test('moves the amount and gives both accounts their next version', () => {
    expect(authorize(request, payer, payee)).toEqual({
      payer: { ...payer, availableCents: 0n, version: 8n },
      payee: { ...payee, availableCents: 200n, version: 8n },
    });
  });

  test('declines when an account is missing, and says which', () => {
    expect(authorize(request, undefined, payee).decline).toEqual({
      code: 'ACCOUNT_NOT_FOUND',
      message: expect.stringContaining('payer account acc-001'),
    });
    expect(authorize(request, payer, undefined).decline).toEqual({
      code: 'ACCOUNT_NOT_FOUND',
      message: expect.stringContaining('payee account acc-002'),
    });
  });

  test.each([
    ['payer', balance('acc-001', { currency: 'USD' }), payee],
    ['payee', payer, balance('acc-002', { currency: 'USD' })],
  ])('declines when the %s is in another currency', (_side, one, other) => {
    expect(authorize(request, one, other).decline?.code).toBe('CURRENCY_MISMATCH');
  });

  test.each([
    ['the payer is closed', 'ACCOUNT_CLOSED', { closed: true }, {}],
    ['the payee is closed', 'ACCOUNT_CLOSED', {}, { closed: true }],
    ["the payer's debits are frozen", 'ACCOUNT_FROZEN', { debitsFrozen: true }, {}],
    ["the payee's credits are frozen", 'ACCOUNT_FROZEN', {}, { creditsFrozen: true }],
    ['the payer is closed and frozen', 'ACCOUNT_CLOSED', { closed: true, debitsFrozen: true }, {}],
  ])('declines when %s', (_case, code, ofPayer, ofPayee) => {
    expect(authorize(request, balance('acc-001', ofPayer), balance('acc-002', ofPayee)).decline?.code).toBe(code);
  });

  test('frozen credits of the payer and frozen debits of the payee are no obstacle', () => {
    const decision = authorize(
      request,
      balance('acc-001', { creditsFrozen: true }),
      balance('acc-002', { debitsFrozen: true }),
    );
    expect(decision.decline).toBeUndefined();
  });

  test('declines one cent beyond the funds', () => {
    expect(authorize({ ...request, amountCents: 101n }, payer, payee).decline?.code).toBe('INSUFFICIENT_FUNDS');
  });

  test('lets the overdraft be used to the last cent', () => {
    const overdrawn = balance('acc-001', { availableCents: -50n, overdraftLimitCents: 150n });
    expect(authorize(request, overdrawn, payee)).toMatchObject({ payer: { availableCents: -150n } });
    expect(authorize({ ...request, amountCents: 101n }, overdrawn, payee).decline?.code).toBe('INSUFFICIENT_FUNDS');
  });

  test('lets an unlimited account go below zero', () => {
    const world = balance('acc-001', { availableCents: 0n, overdraftLimitCents: null });
    expect(authorize({ ...request, amountCents: 10n ** 12n }, world, payee)).toMatchObject({
      payer: { availableCents: -(10n ** 12n) },
    });
  });

  test.each([
    ['payer below int64', balance('acc-001', { availableCents: INT64_MIN, overdraftLimitCents: null }), payee],
    ['payee above int64', payer, balance('acc-002', { availableCents: INT64_MAX - 99n })],
  ])('declines what would take the %s', (_case, one, other) => {
    expect(authorize(request, one, other).decline?.code).toBe('INVALID_AMOUNT');
  });

  test('fills a balance to the very limit of int64', () => {
    const rich = balance('acc-002', { availableCents: INT64_MAX - 100n });
    expect(authorize(request, payer, rich)).toMatchObject({ payee: { availableCents: INT64_MAX } });
  });
});
