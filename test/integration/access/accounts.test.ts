import type { ServiceError } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PaymentStatus } from '../../../src/gen/payment/v1/payment.ts';
import { LedgerClient } from '../../../tools/client.ts';
import { filesIn, statusOf, tlsChannel } from '../../support/callers.ts';
import { createAuthority } from '../../support/certificates.ts';
import { errorDetails } from '../../support/error-details.ts';
import { type ApiProcess, createSystem, type System } from '../../support/system.ts';
import { AUDIENCE, ISSUER, type SigningKey, signingKey } from '../../support/tokens.ts';

const CLAIM = 'https://bank.example/accounts';

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
  for (const account of ['shop-1', 'shop-2', 'bank-1', 'bank-2']) await treasury.openFunded(account, 1_000n);
});

afterAll(async () => {
  for (const client of clients) client.close();
  await system.close();
});

async function clientFor(accounts: unknown): Promise<LedgerClient> {
  const token = await key.token({ [CLAIM]: accounts, exp: Date.now() / 1_000 + 3_600 });
  const client = new LedgerClient(api.address, undefined, token);
  clients.push(client);
  return client;
}

async function paymentId(payerAccountId: string, payeeAccountId: string): Promise<string> {
  return (await treasury.authorize({ payerAccountId, payeeAccountId, amountCents: 1n })).paymentId;
}

const failure = (call: Promise<unknown>): Promise<ServiceError> =>
  call.then(
    () => expect.fail('it was let in'),
    (error) => error,
  );

test('a caller pays from and reads only its own accounts, given by id or by how their ids begin', async () => {
  for (const accounts of [['shop-*'], ['shop-1'], ['x', 'shop-1', 'y-*'], 'shop-1']) {
    const shop = await clientFor(accounts);
    const paid = await shop.authorize({ payerAccountId: 'shop-1', payeeAccountId: 'bank-1', amountCents: 1n });
    expect(paid.status).toBe(PaymentStatus.PAYMENT_STATUS_AUTHORIZED);
    expect(await statusOf(shop.balance('shop-1'))).toBe('OK');

    const denied = await failure(
      shop.authorize({ payerAccountId: 'bank-1', payeeAccountId: 'shop-1', amountCents: 1n }),
    );
    expect(await statusOf(Promise.reject(denied))).toBe('PERMISSION_DENIED');
    expect(errorDetails(denied).errorInfo).toMatchObject({
      reason: 'ACCOUNT_NOT_ALLOWED',
      metadata: { account_id: 'bank-1' },
    });
    // Of an account that is not there it learns the same as of one that is.
    for (const other of ['bank-1', 'bank-9', 'shop']) {
      expect(await statusOf(shop.balance(other))).toBe('PERMISSION_DENIED');
    }
    expect(await statusOf(shop.open('bank-3'))).toBe('PERMISSION_DENIED');
  }
});

test('a caller opens and changes accounts only where it may act', async () => {
  const shop = await clientFor(['shop-*']);
  for (const [account, status] of [
    ['shop-3', 'OK'],
    ['bank-1', 'PERMISSION_DENIED'],
    ['bank-9', 'PERMISSION_DENIED'],
  ] as const) {
    expect(await statusOf(shop.open(account))).toBe(status);
    expect(await statusOf(shop.updateAccount(account, { metadata: { a: 'b' } }))).toBe(status);
    expect(await statusOf(shop.freeze(account))).toBe(status);
    expect(await statusOf(shop.unfreeze(account))).toBe(status);
    expect(await statusOf(shop.closeAccount(account))).toBe(status);
  }
  const history = 'select account_id, kind, caller from account_changes where revision > 1';
  const changes = await system.database.query<{ account_id: string; caller: string }>(history);
  expect(changes).toHaveLength(4);
  expect(new Set(changes.map(({ account_id, caller }) => `${account_id} ${caller}`))).toEqual(
    new Set(['shop-3 caller-1']),
  );
});

test('a caller reads the statements of its own accounts only, and lists no others', async () => {
  const shop = await clientFor(['shop-1']);
  const key = crypto.randomUUID();
  await shop.authorize({ payerAccountId: 'shop-1', payeeAccountId: 'bank-1', amountCents: 1n, idempotencyKey: key });
  expect((await shop.paymentByKey(key))?.payerAccountId).toBe('shop-1');

  const version = { at: undefined, version: 0n };
  for (const [account, status] of [
    ['shop-1', 'OK'],
    ['bank-1', 'PERMISSION_DENIED'],
    ['bank-9', 'PERMISSION_DENIED'],
  ] as const) {
    expect(await statusOf(shop.account(account))).toBe(status);
    expect(await statusOf(shop.entries(account))).toBe(status);
    expect(await statusOf(shop.snapshot(account, version))).toBe(status);
    expect(await statusOf(shop.listPayments({ accountId: account }))).toBe(status);
  }
  const everything = { createdFrom: '2026-01-01T00:00:00Z' };
  for (const client of [shop, await clientFor(['shop-*', 'bank-*'])]) {
    expect(await statusOf(client.listAccounts({}))).toBe('PERMISSION_DENIED');
    expect(await statusOf(client.listPayments(everything))).toBe('PERMISSION_DENIED');
    expect(await statusOf(client.listPayments({ reference: 'order 1' }))).toBe('PERMISSION_DENIED');
  }
  expect(await statusOf(treasury.listAccounts({}))).toBe('OK');
  expect(await statusOf(treasury.listPayments(everything))).toBe('OK');
});

test('a payment of others is NOT_FOUND, as one that does not exist, and is logged', async () => {
  const shop = await clientFor(['shop-1']);
  for (const own of [await paymentId('shop-1', 'bank-1'), await paymentId('bank-1', 'shop-1')]) {
    expect((await shop.payment(own))?.paymentId).toBe(own);
  }
  const others = await paymentId('bank-1', 'bank-2');
  const nowhere = `${others.slice(0, -1)}${others.endsWith('0') ? '1' : '0'}`;
  const [hidden, missing] = [await failure(shop.payment(others)), await failure(shop.payment(nowhere))];
  expect([hidden.code, missing.code]).toEqual([5, 5]);
  expect(hidden.details.replace(others, nowhere)).toBe(missing.details);
  expect(errorDetails(hidden)).toEqual({
    ...errorDetails(missing),
    resourceInfo: { ...errorDetails(missing).resourceInfo, resourceName: others },
  });
  const denials = () => api.log.filter((line) => line.includes('call denied') && line.includes('GetPayment'));
  await expect.poll(denials).toHaveLength(1);
});

test('a token that says nothing of accounts, or nothing that makes sense, is for none', async () => {
  for (const accounts of [undefined, [], '', [7, null], { 'shop-1': true }]) {
    const nobody = await clientFor(accounts);
    expect([accounts, await statusOf(nobody.balance('shop-1'))]).toEqual([accounts, 'PERMISSION_DENIED']);
  }
});

test('a caller with a certificate is bound by the file of callers', async () => {
  const authority = createAuthority();
  const server = authority.issue({ ipAddresses: ['127.0.0.1'] });
  const scopes = ['payments.read'];
  const path = filesIn({
    'tls.crt': server.cert,
    'tls.key': server.key,
    'ca.crt': authority.cert,
    'callers.json': JSON.stringify([
      { caller: 'shop.example', scopes, accounts: ['shop-*'] },
      { caller: 'all.example', scopes },
    ]),
  });
  const byCertificate = await system.startApi({
    TLS_CERT_FILE: path('tls.crt'),
    TLS_KEY_FILE: path('tls.key'),
    TLS_CLIENT_CA_FILE: path('ca.crt'),
    AUTH_CALLERS_FILE: path('callers.json'),
  });
  const expected: [string, string, string][] = [
    ['shop.example', 'shop-2', 'OK'],
    ['shop.example', 'bank-1', 'PERMISSION_DENIED'],
    ['all.example', 'bank-1', 'OK'],
  ];
  for (const [name, account, status] of expected) {
    const channel = tlsChannel(authority.cert, authority.issue({ dnsNames: [name] }));
    const client = new LedgerClient(byCertificate.address, channel);
    clients.push(client);
    expect([name, account, await statusOf(client.balance(account))]).toEqual([name, account, status]);
  }
});

test('a caller that may no longer act for the accounts of its payment does not find it by key', async () => {
  const key = crypto.randomUUID();
  const request = { payerAccountId: 'shop-1', payeeAccountId: 'bank-1', amountCents: 1n, idempotencyKey: key };
  await (await clientFor(['shop-1'])).authorize(request);
  expect(await statusOf((await clientFor(['shop-2'])).paymentByKey(key))).toBe('NOT_FOUND');
});

test('a caller holds from, captures and voids only with the payer among its accounts', async () => {
  const pair = { payerAccountId: 'shop-1', payeeAccountId: 'bank-1', amountCents: 3n };
  const [shop, bank, other] = [await clientFor(['shop-*']), await clientFor(['bank-*']), await clientFor(['other'])];
  expect(await statusOf(bank.hold(pair))).toBe('PERMISSION_DENIED');
  const { payment } = await shop.hold(pair);
  const id = payment!.paymentId;
  for (const call of [() => bank.capture(id), () => bank.void(id)]) {
    const denied = await failure(call());
    expect(await statusOf(Promise.reject(denied))).toBe('PERMISSION_DENIED');
    expect(errorDetails(denied).errorInfo?.metadata['account_id']).toBe('shop-1');
  }
  for (const call of [() => other.capture(id), () => other.void(id), () => other.actions(id)]) {
    expect(await statusOf(call())).toBe('NOT_FOUND');
  }
  expect((await bank.actions(id)).actions).toHaveLength(1);
  await shop.capture(id, { amountCents: 1n, keepRemainder: true });
  expect((await shop.void(id)).payment).toMatchObject({ capturedCents: 1n, releasedCents: 2n });
});
