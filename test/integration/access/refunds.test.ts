import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AccountType } from '../../../src/gen/payment/v1/account.ts';
import { LedgerClient } from '../../../tools/client.ts';
import { filesIn, statusOf } from '../../support/callers.ts';
import { errorDetails } from '../../support/error-details.ts';
import { rejection } from '../../support/rejection.ts';
import { type ApiProcess, createSystem, type System } from '../../support/system.ts';
import { AUDIENCE, ISSUER, type SigningKey, signingKey } from '../../support/tokens.ts';

// A refund is the payee's money, so it is the payee's to make.
const CLAIM = 'https://bank.example/accounts';
const NOT_ADMIN = 'payments.authorize payments.read';

let system: System;
let api: ApiProcess;
let key: SigningKey;
let treasury: LedgerClient;
const clients: LedgerClient[] = [];

beforeAll(async () => {
  system = await createSystem();
  key = await signingKey('key-1');
  const file = filesIn({ jwks: JSON.stringify({ keys: [key.jwk] }) })('jwks');
  api = await system.startApi({
    AUTH_JWKS_FILE: file,
    AUTH_ISSUER: ISSUER,
    AUTH_AUDIENCE: AUDIENCE,
    AUTH_ACCOUNTS_CLAIM: CLAIM,
  });
  treasury = await clientFor(['*']);
  for (const account of ['buyer', 'shop', 'other']) await treasury.openFunded(account, 1_000n);
});
afterAll(async () => {
  for (const client of clients) client.close();
  await system.close();
});

async function clientFor(accounts: string[], scope?: string): Promise<LedgerClient> {
  const claims = { [CLAIM]: accounts, sub: accounts.join(), exp: Date.now() / 1_000 + 3_600 };
  const token = await key.token({ ...claims, ...(scope !== undefined && { scope }) });
  const client = new LedgerClient(api.address, undefined, token);
  clients.push(client);
  return client;
}

async function paymentId(payerAccountId: string, payeeAccountId: string): Promise<string> {
  return (await treasury.authorize({ payerAccountId, payeeAccountId, amountCents: 10n })).paymentId;
}

describe('a refund is made by a caller who may act for', () => {
  test('the payee', async () => {
    const shop = await clientFor(['shop'], NOT_ADMIN);
    const { action } = await shop.refund(await paymentId('buyer', 'shop'));
    expect(action?.error).toBeUndefined();
  });

  test('not the payer alone: PERMISSION_DENIED, and nothing is stored', async () => {
    const buyer = await clientFor(['buyer']);
    const payment = await paymentId('buyer', 'shop');
    const error = await rejection(buyer.refund(payment));
    expect(await statusOf(Promise.reject(error))).toBe('PERMISSION_DENIED');
    expect(errorDetails(error).errorInfo).toMatchObject({
      reason: 'ACCOUNT_NOT_ALLOWED',
      metadata: { account_id: 'shop' },
    });
    expect((await treasury.actions(payment)).actions).toHaveLength(1);
  });

  test('not neither: NOT_FOUND, as a payment that does not exist', async () => {
    const other = await clientFor(['other']);
    expect(await statusOf(other.refund(await paymentId('buyer', 'shop')))).toBe('NOT_FOUND');
  });

  test('with the scope payments.authorize', async () => {
    const reader = await clientFor(['*'], 'payments.read accounts.admin');
    const error = await rejection(reader.refund(await paymentId('buyer', 'shop')));
    expect(errorDetails(error).errorInfo).toMatchObject({
      reason: 'SCOPE_MISSING',
      metadata: { scope: 'payments.authorize' },
    });
  });
});

describe('with an EXTERNAL account', () => {
  const { ACCOUNT_TYPE_EXTERNAL } = AccountType;

  test('as the payer, the refund of a deposit needs nothing more', async () => {
    const customer = await clientFor(['other'], NOT_ADMIN);
    const { action } = await customer.refund(await paymentId('external-RUB', 'other'));
    expect(action?.error).toBeUndefined();
  });

  test('as the payee, whose refund brings money into the books, it needs accounts.admin', async () => {
    // New accounts, as the process remembers those that it has found to be EXTERNAL.
    for (const world of ['world-1', 'world-2']) {
      await treasury.open(world, { type: ACCOUNT_TYPE_EXTERNAL });
      const withdrawal = await paymentId('buyer', world);
      const clerk = await clientFor([world], NOT_ADMIN);
      for (const turn of ['first', 'second']) {
        const idempotencyKey = crypto.randomUUID();
        const error = await rejection(clerk.refund(withdrawal, { idempotencyKey }));
        expect([turn, await statusOf(Promise.reject(error))]).toEqual([turn, 'PERMISSION_DENIED']);
        expect(errorDetails(error).errorInfo).toMatchObject({
          reason: 'SCOPE_MISSING',
          metadata: { scope: 'accounts.admin', account_id: world },
        });
        expect(await statusOf(clerk.paymentByKey(idempotencyKey)), 'the key is free').toBe('NOT_FOUND');
      }
      expect((await treasury.payment(withdrawal))?.refundedCents).toBe(0n);
      expect((await treasury.refund(withdrawal)).action?.error).toBeUndefined();
    }
  });
});
