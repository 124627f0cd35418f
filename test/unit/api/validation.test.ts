import { describe, expect, test } from 'vitest';
import { CURRENCIES } from '../../../src/api/currencies.ts';
import {
  checkAuthorizePayment,
  checkGetAccountBalance,
  checkGetPayment,
  checkOpenAccount,
} from '../../../src/api/validation.ts';
import { ServiceError } from '../../../src/app/errors.ts';
import { AccountType, type OpenAccountRequest } from '../../../src/gen/payment/v1/account.ts';
import type { AuthorizePaymentRequest } from '../../../src/gen/payment/v1/payment.ts';

const authorize: AuthorizePaymentRequest = {
  idempotencyKey: 'key',
  payerAccountId: 'acc-001',
  payeeAccountId: 'acc-002',
  amountCents: 1n,
  currency: 'RUB',
  description: '',
  reference: '',
  metadata: {},
};

const open: OpenAccountRequest = {
  accountId: 'acc-001',
  currency: 'RUB',
  type: AccountType.ACCOUNT_TYPE_CUSTOMER,
  overdraftLimitCents: 0n,
};

/** The fields that the check rejects, in its order. */
function rejected(check: () => void): string[] {
  try {
    check();
    return [];
  } catch (error) {
    if (!(error instanceof ServiceError) || error.problem.kind !== 'INVALID_REQUEST') throw error;
    return error.problem.violations.map(({ field }) => field);
  }
}

describe('AuthorizePayment', () => {
  const check = (overrides: Partial<AuthorizePaymentRequest>) =>
    rejected(() => checkAuthorizePayment({ ...authorize, ...overrides }));

  test('takes a good request', () => {
    expect(check({})).toEqual([]);
  });

  test('names every bad field at once, as the proto names it', () => {
    expect(
      check({
        idempotencyKey: '',
        payerAccountId: '',
        payeeAccountId: '',
        currency: '',
        description: 'x'.repeat(1_001),
      }),
    ).toEqual(['idempotency_key', 'payer_account_id', 'payee_account_id', 'currency', 'description']);
  });

  test.each([
    ['idempotencyKey', 'idempotency_key', 255],
    ['payerAccountId', 'payer_account_id', 64],
    ['payeeAccountId', 'payee_account_id', 64],
    ['description', 'description', 1_000],
    ['reference', 'reference', 255],
  ] as const)('counts the characters of %s, not its UTF-16 units or bytes', (property, field, max) => {
    expect(check({ [property]: 'x'.repeat(max) })).toEqual([]);
    expect(check({ [property]: '🐘'.repeat(max) })).toEqual([]);
    expect(check({ [property]: 'x'.repeat(max + 1) })).toEqual([field]);
    expect(check({ [property]: '🐘'.repeat(max + 1) })).toEqual([field]);
  });

  test.each(['\0', 'a\0b', '\uD800', 'a\uDC00b'])('rejects %j, which Postgres cannot store', (text) => {
    expect(check({ idempotencyKey: text })).toEqual(['idempotency_key']);
    expect(check({ description: text })).toEqual(['description']);
  });

  test('takes 20 notes of 40 and 500 characters, and no more', () => {
    const notes = (count: number, key = '🐘'.repeat(38), value = '🐘'.repeat(500)) => ({
      metadata: Object.fromEntries(Array.from({ length: count }, (_, n) => [key + String(n).padStart(2, '0'), value])),
    });
    expect(check(notes(20))).toEqual([]);
    expect(check({ metadata: { empty: '' } })).toEqual([]);
    expect(check(notes(21))).toEqual(['metadata']);
    expect(check(notes(1, 'x'.repeat(39)))).toEqual(['metadata']);
    expect(check(notes(1, 'x', 'x'.repeat(501)))).toEqual(['metadata']);
    expect(check({ metadata: { '': 'x' } })).toEqual(['metadata']);
  });

  test.each(['a\0b', '\uD800'])('rejects notes with %j, which Postgres cannot store', (text) => {
    expect(check({ metadata: { [text]: '' } })).toEqual(['metadata']);
    expect(check({ metadata: { note: text } })).toEqual(['metadata']);
  });

  test('leaves the amount to the domain: a bad one is a decline', () => {
    expect(check({ amountCents: 0n })).toEqual([]);
    expect(check({ amountCents: -1n })).toEqual([]);
  });

  test.each(['rub', 'RU', 'RUBL', ' RUB', 'ZZZ', 'XXX', 'XTS', '643', 'constructor'])(
    'rejects currency %j',
    (currency) => {
      expect(check({ currency })).toEqual(['currency']);
    },
  );
});

describe('OpenAccount', () => {
  const check = (overrides: Partial<OpenAccountRequest>) => rejected(() => checkOpenAccount({ ...open, ...overrides }));

  test('takes CUSTOMER with an overdraft and EXTERNAL without', () => {
    expect(check({ overdraftLimitCents: 2n ** 63n - 1n })).toEqual([]);
    expect(check({ type: AccountType.ACCOUNT_TYPE_EXTERNAL })).toEqual([]);
  });

  test('rejects other types, also those that the proto does not know', () => {
    expect(check({ type: AccountType.ACCOUNT_TYPE_UNSPECIFIED })).toEqual(['type']);
    expect(check({ type: 7 as AccountType })).toEqual(['type']);
  });

  test('rejects a negative overdraft, and any for EXTERNAL', () => {
    expect(check({ overdraftLimitCents: -1n })).toEqual(['overdraft_limit_cents']);
    expect(check({ type: AccountType.ACCOUNT_TYPE_EXTERNAL, overdraftLimitCents: 1n })).toEqual([
      'overdraft_limit_cents',
    ]);
  });
});

describe('reads', () => {
  test('rejects an empty or an overlong id', () => {
    expect(rejected(() => checkGetPayment({ paymentId: '', idempotencyKey: '' }))).toEqual(['payment_id']);
    expect(rejected(() => checkGetPayment({ paymentId: 'x'.repeat(65), idempotencyKey: '' }))).toEqual(['payment_id']);
    expect(rejected(() => checkGetAccountBalance({ accountId: '' }))).toEqual(['account_id']);
    expect(rejected(() => checkGetAccountBalance({ accountId: 'x'.repeat(65) }))).toEqual(['account_id']);
  });
});

describe('GetPayment', () => {
  const check = (paymentId: string, idempotencyKey: string) =>
    rejected(() => checkGetPayment({ paymentId, idempotencyKey }));

  test('takes an id or a key, not both', () => {
    expect(check('01ARZ3NDEKTSV4RRFFQ69G5FAV', '')).toEqual([]);
    expect(check('', 'k'.repeat(255))).toEqual([]);
    expect(check('01ARZ3NDEKTSV4RRFFQ69G5FAV', 'k')).toEqual(['idempotency_key']);
  });

  test.each(['k'.repeat(256), 'a\0b', '\uD800'])('rejects the key %j', (key) => {
    expect(check('', key)).toEqual(['idempotency_key']);
  });
});

describe('currencies', () => {
  test('has every currency that Node knows: add what an upgrade brings', () => {
    expect(Intl.supportedValuesOf('currency').filter((code) => !CURRENCIES.has(code))).toEqual([]);
  });

  test('has three capitals in each', () => {
    expect([...CURRENCIES].filter((code) => !/^[A-Z]{3}$/.test(code))).toEqual([]);
  });
});
